import type { LogHarness } from '../../src/conformance.ts'
import type { Log, LogCapabilities } from '../../src/driver.ts'
import { createMemoryStorage, type MemoryStorage } from '../../src/memory.ts'

/** Worlds of logs on a memory storage. Without `declares`, the harness believes what the log says of itself. */
export function createMemoryHarness(create: (storage: MemoryStorage) => Log, declares?: Partial<LogCapabilities>): LogHarness {
  const capabilities = { ...create(createMemoryStorage()).capabilities, ...declares }
  return {
    capabilities,
    faults: capabilities.persistent ? ['stopWrites', 'crash', 'lose', 'share', 'stranger'] : [],
    pause: () => new Promise((resolve) => setImmediate(resolve)),

    async open() {
      const storage = createMemoryStorage()
      const log = create(storage)
      return {
        log,
        reopen: async () => create(storage),
        crash: async () => create(structuredClone(storage)),
        share: async () => create(storage),
        stranger: async () => create(createMemoryStorage()),
        stopWrites() {
          storage.full = true
          return () => void (storage.full = false)
        },
        lose: async (source) => void storage.sources.delete(source),
        dispose: () => log.close(),
      }
    },
  }
}

import type { LogHarness } from '../../src/conformance.ts'
import type { Log, LogCapabilities } from '../../src/driver.ts'
import { createMemoryStorage, type MemoryStorage } from '../../src/memory.ts'

/** Puts a storage out of reach. A log in memory does not wait, so one that is silent is one that refuses. */
function outage(storage: MemoryStorage): () => Promise<void> {
  storage.away = true
  return async () => void (storage.away = false)
}

/** Worlds of logs on a memory storage. Without `declares`, the harness believes what the log says of itself. */
export function createMemoryHarness(
  create: (storage: MemoryStorage) => Log,
  declares?: Partial<LogCapabilities>,
): LogHarness {
  const capabilities = { ...create(createMemoryStorage()).capabilities, ...declares }
  return {
    capabilities,
    faults: capabilities.persistent ? ['stopWrites', 'crash', 'lose', 'share', 'stranger', 'cut', 'silence'] : [],
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
        cut: async () => outage(storage),
        silence: async () => outage(storage),
        lose: async (source) => void storage.sources.delete(source),
        async dispose() {
          storage.away = false
          await log.close()
        },
      }
    },
  }
}

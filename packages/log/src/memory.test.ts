import { describe, it } from 'node:test'
import { testLog } from './conformance.ts'
import { createMemoryLog, createMemoryStorage, type MemoryLogOptions, type MemoryStorage } from './memory.ts'
import type { FaultName, LogHarness } from './conformance.ts'

/** Worlds of memory logs; with a storage, they can be full, crash and be opened again. */
function createHarness(options: Omit<MemoryLogOptions, 'storage'>, withStorage: boolean): LogHarness {
  const faults: readonly FaultName[] = withStorage ? ['stopWrites', 'crash'] : []
  const create = (storage: MemoryStorage) => createMemoryLog(withStorage ? { ...options, storage } : options)
  return {
    capabilities: create(createMemoryStorage()).capabilities,
    faults,
    async open() {
      const storage = createMemoryStorage()
      const log = create(storage)
      return {
        log,
        reopen: async () => create(storage),
        crash: async () => create(storage),
        stopWrites() {
          storage.full = true
          return () => void (storage.full = false)
        },
        dispose: () => log.close(),
      }
    },
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  }
}

testLog('a memory log', { describe, it }, createHarness({ dataBytesMax: 4096 }, false))
testLog('a memory log on a storage', { describe, it }, createHarness({ dataBytesMax: 4096 }, true))
testLog('a memory log that does not check appends', { describe, it }, createHarness({ dataBytesMax: 4096, checksAppends: false }, true))

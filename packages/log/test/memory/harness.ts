import { AtollError } from '@atoll/host'
import type { FaultName, LogHarness } from '../../src/conformance.ts'
import type { Log, LogCapabilities } from '../../src/driver.ts'
import { createMemoryStorage, type MemoryStorage } from '../../src/memory.ts'

/** Worlds of logs on a memory storage. Without `declares`, the harness believes what the log says of itself. */
export function createMemoryHarness(
  create: (storage: MemoryStorage) => Log,
  declares?: Partial<LogCapabilities>,
): LogHarness {
  const capabilities = { ...create(createMemoryStorage()).capabilities, ...declares }
  return {
    capabilities,
    faults: capabilities.persistent ? faults : [],
    pause: turn,

    async open() {
      const storage = createMemoryStorage()
      const way: Way = { losesAnswers: false, bytesLeft: Infinity }
      const open = (): Log => through(way, create(storage))
      const log = open()
      return {
        log,
        reopen: async () => open(),
        crash: async () => create(structuredClone(storage)),
        share: async () => create(storage),
        stranger: async () => create(createMemoryStorage()),
        stopWrites() {
          storage.full = true
          return () => void (storage.full = false)
        },
        cut: async () => outage(storage),
        silence: async () => outage(storage),
        async loseAnswers() {
          way.losesAnswers = true
          return async () => void (way.losesAnswers = false)
        },
        resetAfter: (bytes) => void (way.bytesLeft = bytes),
        async restart() {
          const start = outage(storage)
          await turn()
          await start()
        },
        impostor: async () => ({ log: create({ ...createMemoryStorage(), wrongPassword: 'guess' }), secret: 'guess' }),
        lose: async (source) => void storage.sources.delete(source),
        async dispose() {
          storage.away = false
          await log.close()
        },
      }
    },
  }
}

const faults: readonly FaultName[] = [
  'stopWrites',
  'crash',
  'lose',
  'share',
  'stranger',
  'cut',
  'silence',
  'loseAnswers',
  'resetAfter',
  'restart',
  'impostor',
]

/** The way between a log and who calls it. */
interface Way {
  losesAnswers: boolean
  /** What may still be appended before an append is torn. */
  bytesLeft: number
}

/** The log, by a way on which appends are torn and answers get lost. */
function through(way: Way, log: Log): Log {
  const answered = async <T>(call: Promise<T>): Promise<T> => {
    const answer = await call
    if (way.losesAnswers) throw new AtollError('UNAVAILABLE', 'the answer was lost')
    return answer
  }
  return {
    ...log,
    append(source, records) {
      const sent = records.filter(({ data }) => (way.bytesLeft -= data.length) >= 0)
      const isTorn = sent.length < records.length
      if (isTorn) way.bytesLeft = Infinity
      const call = answered(log.append(source, isTorn ? sent : records))
      return isTorn ? call.then(() => Promise.reject(new AtollError('UNAVAILABLE', 'the append was torn'))) : call
    },
    read: (source, partition, after, limit) => answered(log.read(source, partition, after, limit)),
    tail: (source, partition) => answered(log.tail(source, partition)),
  }
}

/** Puts a storage out of reach. A log in memory does not wait, so one that is silent is one that refuses. */
function outage(storage: MemoryStorage): () => Promise<void> {
  storage.away = true
  return async () => void (storage.away = false)
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

import { AtollError } from '@atoll/host'
import type { Log, LogRecord } from '../../src/driver.ts'
import { createMemoryLog, createMemoryStorage, type MemoryStorage } from '../../src/memory.ts'
import { dataBytesMax, honest, turn, type Saboteur } from './saboteur.ts'

/** Sources that somebody appends to. */
const appending = new WeakMap<MemoryStorage, Set<string>>()

export const concurrencySaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it refuses who appends to a source to which another appends at the same time',
    caughtBy: ['concurrency.partitions'],
    create(storage) {
      const log = honest(storage)
      const busy = appending.get(storage) ?? new Set()
      appending.set(storage, busy)
      const own = new Set<string>()
      return {
        ...log,
        async append(source, records) {
          if (busy.has(source) && !own.has(source)) throw new AtollError('UNAVAILABLE', `others append to ${source}`)
          for (const names of [busy, own]) names.add(source)
          await turn()
          await log.append(source, records).finally(() => [busy, own].forEach((names) => names.delete(source)))
        },
      }
    },
  },
  {
    breaks: 'it believes that nobody else appends',
    caughtBy: ['concurrency.turns'],
    create(storage) {
      const log = honest(storage)
      const ends = new Map<string, number>()
      return {
        ...log,
        async append(source, records) {
          for (const { partition, number } of records) {
            const end = ends.get(`${source} ${partition}`)
            if (end !== undefined && number > end + 1) throw new AtollError('LOG_GAP', `${number} would follow ${end}`)
          }
          await log.append(source, records)
          for (const { partition, number } of records)
            ends.set(`${source} ${partition}`, Math.max(number, ends.get(`${source} ${partition}`) ?? 0))
        },
      }
    },
  },
  {
    breaks: 'it forgets an append when another comes in the same turn, and acknowledges both',
    caughtBy: ['concurrency.sources'],
    create(storage) {
      const log = honest(storage)
      let latest = 0
      return {
        ...log,
        async append(source, records) {
          const mine = ++latest
          await turn()
          if (mine === latest) await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it refuses everything that came in the same turn as something bad',
    caughtBy: ['concurrency.refused-alone'],
    create(storage) {
      const log = honest(storage)
      let failure: unknown
      return {
        ...log,
        async append(source, records) {
          if (records.some((record) => record.data.length > dataBytesMax))
            failure = new AtollError('BODY_TOO_LARGE', 'one of these is too large')
          await turn()
          if (failure) throw failure
          await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it shows the second half of an append first',
    caughtBy: ['concurrency.read-while-appending'],
    create(storage) {
      const log = honest(storage)
      let hidden: readonly LogRecord[] = []
      return {
        ...log,
        async append(source, records) {
          hidden = records.slice(0, records.length / 2)
          await log.append(source, records)
          await turn()
          await turn()
          hidden = []
        },
        async read(source, partition, after, limit) {
          const found = await log.read(source, partition, after, limit)
          return found.filter((record) => !hidden.some((other) => other.id === record.id))
        },
      }
    },
  },
]

export const watchSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it never tells a listener',
    caughtBy: ['watch.hints', 'watch.suffices', 'watch.several'],
    create: (storage) => ({ ...honest(storage), watch: () => () => {} }),
  },
  {
    breaks: 'it tells of the first partition of an append alone',
    caughtBy: ['watch.hints'],
    create: (storage) => watchedBefore(honest(storage), (records) => records.slice(0, 1), 'after'),
  },
  {
    breaks: 'it tells of records before they can be read, and then no more',
    caughtBy: ['watch.suffices'],
    create: (storage) => watchedBefore(honest(storage), (records) => records, 'before'),
  },
  {
    breaks: 'ending one listener ends the others of the same function',
    caughtBy: ['watch.several'],
    create(storage) {
      const log = honest(storage)
      const ended = new Set<(partition: number) => void>()
      return {
        ...log,
        watch(source, listener) {
          log.watch(source, (partition) => (ended.has(listener) ? undefined : listener(partition)))
          return () => void ended.add(listener)
        },
      }
    },
  },
  {
    breaks: 'it tells listeners that were ended',
    caughtBy: ['watch.ends'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        watch(source, listener) {
          log.watch(source, listener)
          return () => {}
        },
      }
    },
  },
  {
    breaks: 'it tells listeners what was on its way when they were ended',
    caughtBy: ['watch.ends-at-once'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        watch(source, listener) {
          let ended = false
          const end = log.watch(
            source,
            (partition) => void (ended ? undefined : queueMicrotask(() => listener(partition))),
          )
          return () => {
            ended = true
            end()
          }
        },
      }
    },
  },
]

/** A log that tells listeners at once of some of the records, before or after they are written. */
function watchedBefore(
  log: Log,
  told: (records: readonly LogRecord[]) => readonly LogRecord[],
  when: 'before' | 'after',
): Log {
  const listeners = new Set<{ tell: (partition: number) => void }>()
  const tell = (records: readonly LogRecord[]): void => {
    for (const record of told(records)) for (const listener of listeners) listener.tell(record.partition)
  }
  return {
    ...log,
    async append(source, records) {
      if (when === 'before') tell(records)
      await turn()
      await log.append(source, records)
      if (when === 'after') tell(records)
    },
    watch(_source, listener) {
      const entry = { tell: listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
  }
}

export const durabilitySaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it forgets when it is closed',
    caughtBy: ['durability.reopen', 'durability.old-offset', 'durability.crash', 'close.keeps-appends'],
    create(storage) {
      const log = honest(createMemoryStorage())
      return {
        ...log,
        async append(source, records) {
          if (storage.full) throw new AtollError('STORE_FULL', 'no room')
          await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'its offsets count from when it was opened',
    caughtBy: ['durability.reopen', 'durability.old-offset'],
    create(storage) {
      const log = honest(storage)
      const atOpen = [...storage.sources.values()]
        .flatMap((partitions) => [...partitions.values()])
        .reduce((count, records) => count + records.length, 0)
      const toOwn = (offset: string): string => String(Number(offset) + atOpen)
      return {
        ...log,
        async read(source, partition, after, limit) {
          const found = await log.read(
            source,
            partition,
            after === null ? null : String(Math.max(0, Number(after) - atOpen)),
            limit,
          )
          return found.map((record) => ({ ...record, offset: toOwn(record.offset) }))
        },
        async tail(source, partition) {
          const tail = await log.tail(source, partition)
          return tail && { ...tail, offset: toOwn(tail.offset) }
        },
      }
    },
  },
  {
    breaks: 'it gives a source that is new to it the place of an old one, once it was opened again',
    caughtBy: ['durability.goes-on'],
    create(storage) {
      const log = honest(storage)
      const [old] = storage.sources.keys()
      const placeOf = (source: string): string => (storage.sources.has(source) ? source : (old ?? source))
      return { ...log, append: (source, records) => log.append(placeOf(source), records) }
    },
  },
  {
    breaks: 'it calls itself forgetful, and remembers',
    caughtBy: ['durability.forgets'],
    create(storage) {
      const log = honest(storage)
      return { ...log, capabilities: { ...log.capabilities, persistent: false, canBeDurable: false } }
    },
  },
  {
    breaks: 'it writes what it acknowledged when it finds time',
    caughtBy: ['durability.crash'],
    create(storage) {
      const memory = createMemoryLog({ storage: structuredClone(storage), dataBytesMax })
      const disk = honest(storage)
      const late: Promise<void>[] = []
      return {
        ...memory,
        async append(source, records) {
          await memory.append(source, records)
          late.push(
            turn()
              .then(() => disk.append(source, records))
              .catch(() => undefined),
          ) // it has no time for failures
        },
        async close() {
          await Promise.all(late)
          await memory.close()
        },
      }
    },
  },
  {
    breaks: 'it acknowledges what it had no room for',
    caughtBy: ['durability.failed-append'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        append: (source, records) =>
          log.append(source, records).catch((error: unknown) => {
            if (!(error instanceof AtollError) || error.code !== 'STORE_FULL') throw error
          }),
      }
    },
  },
  {
    breaks: 'one failed append makes it fail for ever',
    caughtBy: ['durability.failed-append'],
    create(storage) {
      const log = honest(storage)
      let broken = false
      return {
        ...log,
        async append(source, records) {
          broken ||= storage.full
          if (broken) throw new AtollError('STORE_FULL', 'there was no room')
          await log.append(source, records)
        },
      }
    },
  },
]

export const closeSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it goes on after close',
    caughtBy: ['close.append', 'close.read', 'close.tail', 'close.watch', 'close.examine'],
    create: (storage) => ({ ...honest(storage), async close() {} }),
  },
  {
    breaks: 'it refuses what comes after close without the code for it',
    caughtBy: ['close.append', 'close.read', 'close.tail', 'close.watch', 'close.examine'],
    create(storage) {
      const log = honest(storage)
      let closed = false
      const assertOpen = (): void => {
        if (closed) throw new TypeError('the database connection is not open')
      }
      return {
        ...log,
        async append(source, records) {
          assertOpen()
          await log.append(source, records)
        },
        async read(source, partition, after, limit) {
          assertOpen()
          return log.read(source, partition, after, limit)
        },
        async tail(source, partition) {
          assertOpen()
          return log.tail(source, partition)
        },
        watch(source, listener) {
          assertOpen()
          return log.watch(source, listener)
        },
        async examine() {
          assertOpen()
          return log.examine()
        },
        async close() {
          closed = true
        },
      }
    },
  },
  {
    breaks: 'it complains when it is closed again',
    caughtBy: ['close.twice'],
    create(storage) {
      const log = honest(storage)
      let closed = false
      return {
        ...log,
        async close() {
          if (closed) throw new AtollError('LOG_CLOSED', 'closed already')
          closed = true
          await log.close()
        },
      }
    },
  },
  {
    breaks: 'it leaves its appends hanging when it is closed',
    caughtBy: ['close.settles-appends'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          await log.append(source, records)
          await turn()
        },
      }
    },
  },
  {
    breaks: 'it drops what waits when it is closed, and acknowledges it',
    caughtBy: ['close.keeps-appends'],
    create(storage) {
      const log = honest(storage)
      let closed = false
      return {
        ...log,
        async append(source, records) {
          await Promise.resolve()
          if (!closed) await log.append(source, records)
        },
        async close() {
          closed = true
          await log.close()
        },
      }
    },
  },
]

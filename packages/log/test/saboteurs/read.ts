import { AtollError } from '@atoll/host'
import type { LogRecord, StoredRecord } from '../../src/driver.ts'
import { createMemoryStorage, type MemoryStorage } from '../../src/memory.ts'
import { changingReads, honest, turn, type Saboteur } from './saboteur.ts'

export const readSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it complains of a partition that it does not know',
    caughtBy: ['read.nothing'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async read(source, partition, after, limit) {
          if (!storage.sources.get(source)?.has(partition))
            throw new AtollError('NOT_FOUND', `${source} has no partition ${partition}`)
          return log.read(source, partition, after, limit)
        },
      }
    },
  },
  {
    breaks: 'it ignores where the reader stands',
    caughtBy: ['read.after', 'read.pages', 'read.continues', 'tail.read-on'],
    create(storage) {
      const log = honest(storage)
      return { ...log, read: (source, partition, _after, limit) => log.read(source, partition, null, limit) }
    },
  },
  {
    breaks: 'it answers the record of the offset again',
    caughtBy: ['read.after', 'read.continues'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        read: (source, partition, after, limit) =>
          log.read(source, partition, after === null ? null : String(Number(after) - 1), limit),
      }
    },
  },
  {
    breaks: 'it answers one record more than asked for',
    caughtBy: ['read.limit'],
    create(storage) {
      const log = honest(storage)
      return { ...log, read: (source, partition, after, limit) => log.read(source, partition, after, limit + 1) }
    },
  },
  {
    breaks: 'it skips a record after each full page',
    caughtBy: ['read.pages', 'read.same-offset'],
    create: changingReads((records, limit) => {
      const last = records.at(-1)
      if (last && records.length === limit)
        records[records.length - 1] = { ...last, offset: String(Number(last.offset) + 1) }
      return records
    }),
  },
  {
    breaks: 'it remembers an empty answer',
    caughtBy: ['read.continues'],
    create(storage) {
      const log = honest(storage)
      const ends = new Set<string>()
      return {
        ...log,
        async read(source, partition, after, limit) {
          const place = `${source}/${partition}/${after}`
          const found = ends.has(place) ? [] : await log.read(source, partition, after, limit)
          if (found.length === 0 && after !== null) ends.add(place)
          return found
        },
      }
    },
  },
  {
    breaks: 'it gives a record another offset each time',
    caughtBy: ['read.same-offset', 'tail.last'],
    create(storage) {
      const log = honest(storage)
      let reads = 0
      return {
        ...log,
        async read(source, partition, after, limit) {
          reads++
          const found = await log.read(source, partition, after?.split('.')[0] ?? null, limit)
          return found.map((record) => ({ ...record, offset: `${record.offset}.${reads}` }))
        },
      }
    },
  },
  {
    breaks: 'it hands out its own records',
    caughtBy: ['read.own-copy'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async read(source, partition, after, limit) {
          const start = Number(after ?? 0)
          return (
            storage.sources
              .get(source)
              ?.get(partition)
              ?.slice(start, start + limit) ?? log.read(source, partition, after, limit)
          )
        },
      }
    },
  },
  {
    breaks: 'it shows records before they are durable',
    caughtBy: ['read.only-what-stays'],
    create(storage) {
      const log = honest(storage)
      let early: StoredRecord[] = []
      const asStored = (source: string, record: LogRecord): StoredRecord => ({
        ...record,
        source,
        offset: String(record.number),
      })
      return {
        ...log,
        async append(source, records) {
          early = records.map((record) => asStored(source, record))
          await turn()
          early = []
          await log.append(source, records)
        },
        async read(source, partition, after, limit) {
          const found = await log.read(source, partition, after, limit)
          const last = found.at(-1)?.number ?? Number(after ?? 0)
          return [
            ...found,
            ...early.filter(
              (record) => record.source === source && record.partition === partition && record.number > last,
            ),
          ].slice(0, limit)
        },
      }
    },
  },
]

export const tailSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it answers number 0 for a partition without records',
    caughtBy: ['tail.nothing', 'append.nothing'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        tail: async (source, partition) => (await log.tail(source, partition)) ?? { number: 0, offset: '0', id: '' },
      }
    },
  },
  {
    breaks: 'it remembers the first tail it gave',
    caughtBy: ['tail.last'],
    create(storage) {
      const log = honest(storage)
      const tails = new Map<string, Awaited<ReturnType<typeof log.tail>>>()
      return {
        ...log,
        async tail(source, partition) {
          const place = `${source}/${partition}`
          const tail = tails.get(place) ?? (await log.tail(source, partition))
          tails.set(place, tail)
          return tail
        },
      }
    },
  },
  {
    breaks: 'it has one tail for all partitions of a source',
    caughtBy: ['tail.own', 'tail.nothing'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async tail(source) {
          const tails = await Promise.all(
            [...(storage.sources.get(source)?.keys() ?? [])].map((partition) => log.tail(source, partition)),
          )
          return tails.reduce((highest, tail) => (tail && tail.number > (highest?.number ?? 0) ? tail : highest), null)
        },
      }
    },
  },
  {
    breaks: 'the offset of its tail is one too low',
    caughtBy: ['tail.last', 'tail.read-on'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async tail(source, partition) {
          const tail = await log.tail(source, partition)
          return tail && { ...tail, offset: String(Number(tail.offset) - 1) }
        },
      }
    },
  },
  {
    breaks: 'its tail names the first record',
    caughtBy: ['tail.last'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async tail(source, partition) {
          const tail = await log.tail(source, partition)
          return tail && { ...tail, id: storage.sources.get(source)!.get(partition)![0]!.id }
        },
      }
    },
  },
  {
    breaks: 'a refused append moves its tail',
    caughtBy: ['tail.after-refusal'],
    create(storage) {
      const log = honest(storage)
      const highest = new Map<string, number>()
      return {
        ...log,
        append(source, records) {
          for (const { partition, number } of records) highest.set(`${source}/${partition}`, number)
          return log.append(source, records)
        },
        async tail(source, partition) {
          const number = highest.get(`${source}/${partition}`)
          return number === undefined ? log.tail(source, partition) : { number, offset: String(number), id: '' }
        },
      }
    },
  },
]

/** Reads of several streams as if they were one. */
async function readMixed(
  storage: MemoryStorage,
  streams: readonly (readonly [string, number])[],
  after: string | null,
  limit: number,
): Promise<StoredRecord[]> {
  const mixed = streams.flatMap(([source, partition]) => storage.sources.get(source)?.get(partition) ?? [])
  const start = Number(after ?? 0)
  return mixed.slice(start, start + limit).map((record, index) => ({ ...record, offset: String(start + index + 1) }))
}

const everybodys = createMemoryStorage()

export const independenceSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it gives all systems one log',
    caughtBy: ['independence.systems'],
    create: () => honest(everybodys),
  },
  {
    breaks: 'it mixes the partitions of a source',
    caughtBy: ['independence.partitions', 'append.mixed-partitions'],
    create: (storage) => ({
      ...honest(storage),
      read: (source, _partition, after, limit) =>
        readMixed(
          storage,
          [...(storage.sources.get(source)?.keys() ?? [])].map((partition) => [source, partition]),
          after,
          limit,
        ),
    }),
  },
  {
    breaks: 'it mixes sources',
    caughtBy: ['independence.sources', 'independence.similar-names', 'read.nothing'],
    create: (storage) => ({
      ...honest(storage),
      read: (_source, partition, after, limit) =>
        readMixed(
          storage,
          [...storage.sources.keys()].map((source) => [source, partition]),
          after,
          limit,
        ),
    }),
  },
  {
    breaks: 'it mixes sources that begin with the same name',
    caughtBy: ['independence.similar-names'],
    create: (storage) => ({
      ...honest(storage),
      read(source, partition, after, limit) {
        const sources = [...storage.sources.keys()].filter((other) => other.startsWith(source))
        return readMixed(
          storage,
          sources.map((other) => [other, partition]),
          after,
          limit,
        )
      },
    }),
  },
]

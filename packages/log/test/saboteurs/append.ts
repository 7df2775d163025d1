import { createMemoryLog, type MemoryStorage } from '../../src/memory.ts'
import type { LogRecord } from '../../src/driver.ts'
import { careless, changingReads, changingRecords, dataBytesMax, honest, turn, type Saboteur } from './saboteur.ts'

export const manifestSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it says less of itself than its harness',
    caughtBy: ['manifest.true'],
    declares: { dataBytesMax: 2048 },
    create: (storage) => honest(storage),
  },
  {
    breaks: 'it calls itself durable, and forgets',
    caughtBy: ['manifest.sound'],
    create() {
      const log = createMemoryLog({ dataBytesMax })
      return { ...log, capabilities: { ...log.capabilities, canBeDurable: true } }
    },
  },
]

export const appendSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it loses the cause of a record',
    caughtBy: ['append.complete'],
    create: changingRecords((record) => ({ ...record, cause: '' })),
  },
  {
    breaks: 'it answers the newest record first',
    caughtBy: ['append.in-order'],
    create: changingReads((records) => records.reverse()),
  },
  {
    breaks: 'it loses one record in ten, after it acknowledged it',
    caughtBy: ['append.in-order', 'append.many'],
    create: changingReads((records) => records.filter((record) => record.number % 10 !== 7)),
  },
  {
    breaks: 'it acknowledges what cannot be read yet',
    caughtBy: ['append.at-once'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          void turn()
            .then(() => log.append(source, records))
            .catch(() => 'too late to say so')
        },
      }
    },
  },
  {
    breaks: 'it puts a whole append into the partition of its first record',
    caughtBy: ['append.mixed-partitions'],
    create(storage) {
      const log = careless(storage)
      return {
        ...log,
        append: (source, records) =>
          log.append(
            source,
            records.map((record) => ({ ...record, partition: records[0]!.partition })),
          ),
      }
    },
  },
  {
    breaks: 'it refuses an append of nothing',
    caughtBy: ['append.nothing'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          if (records.length === 0) throw new RangeError('nothing to append')
          await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it cuts an append off after 500 records',
    caughtBy: ['append.many'],
    create(storage) {
      const log = honest(storage)
      return { ...log, append: (source, records) => log.append(source, records.slice(0, 500)) }
    },
  },
  {
    breaks: 'it keeps the records of its caller',
    caughtBy: ['append.keeps-no-reference'],
    create(storage) {
      const log = honest(storage)
      const kept = new Map<string, LogRecord>()
      return {
        ...log,
        async append(source, records) {
          await log.append(source, records)
          for (const record of records) kept.set(record.id, record)
        },
        async read(source, partition, after, limit) {
          const found = await log.read(source, partition, after, limit)
          return found.map((record) => ({ ...record, ...kept.get(record.id) }))
        },
      }
    },
  },
]

/** The numbers that a storage ends with, looked up anew. */
const lastIn = (storage: MemoryStorage, source: string, partition: number): number =>
  storage.sources.get(source)?.get(partition)?.at(-1)?.number ?? 0

export const repeatSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it writes repeats down again',
    caughtBy: ['repeat.ignored', 'repeat.overlap', 'repeat.within-append', 'gap.later'],
    create: careless,
  },
  {
    breaks: 'it ignores a whole append whose first record it knows',
    caughtBy: ['repeat.overlap', 'repeat.after-reopen'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          const [first] = records
          if (!first || first.number > lastIn(storage, source, first.partition)) await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it looks for repeats only in earlier appends',
    caughtBy: ['repeat.within-append', 'divergence.within-append'],
    create(storage) {
      const log = careless(storage)
      return {
        ...log,
        append: (source, records) =>
          log.append(
            source,
            records.filter((record) => record.number > lastIn(storage, source, record.partition)),
          ),
      }
    },
  },
  {
    breaks: 'it lets the last repeat win',
    caughtBy: ['repeat.first-stays'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          await log.append(source, records)
          for (const { partition, number, data } of records) {
            const stored = storage.sources.get(source)!.get(partition)!
            stored[number - 1] = { ...stored[number - 1]!, data }
          }
        },
      }
    },
  },
  {
    breaks: 'it knows repeats, holes and divergence only since it was opened',
    caughtBy: ['repeat.after-reopen', 'gap.after-reopen', 'divergence.after-reopen'],
    create(storage) {
      const log = careless(storage)
      const memory = createMemoryLog()
      return {
        ...log,
        async append(source, records) {
          await memory.append(source, records).catch((error: unknown) => {
            if (lastIn(storage, source, 0) === 0) throw error
          })
          await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it does not check, and drops an append that begins with a repeat',
    caughtBy: ['repeat.unchecked'],
    create(storage) {
      const log = honest(storage, { checksAppends: false })
      return {
        ...log,
        async append(source, records) {
          if (records.every((record) => record.number > lastIn(storage, source, record.partition)))
            await log.append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it does not check, and takes the number for the place',
    caughtBy: ['repeat.unchecked-pages'],
    create(storage) {
      const log = honest(storage, { checksAppends: false })
      return {
        ...log,
        async read(source, partition, after, limit) {
          const stored = storage.sources.get(source)?.get(partition) ?? []
          const start = after === null ? 0 : stored.findIndex((record) => String(record.number) === after) + 1
          return stored.slice(start, start + limit).map((record) => ({ ...record, offset: String(record.number) }))
        },
      }
    },
  },
]

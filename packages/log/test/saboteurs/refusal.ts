import { AtollError } from '@atoll/host'
import type { LogRecord } from '../../src/driver.ts'
import { careless, changingRecords, dataBytesMax, honest, type Saboteur } from './saboteur.ts'
import { createMemoryLog } from '../../src/memory.ts'

export const gapSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it lets a partition begin anywhere',
    caughtBy: ['gap.at-start'],
    create(storage) {
      const log = honest(storage)
      const unchecked = careless(storage)
      return {
        ...log,
        async append(source, records) {
          const begun = records.some((record) => storage.sources.get(source)?.has(record.partition))
          await (begun ? log : unchecked).append(source, records)
        },
      }
    },
  },
  {
    breaks: 'it has nothing to say to a reader whose records are gone',
    caughtBy: ['gap.lost-reader'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        read: (source, partition, after, limit) => log.read(source, partition, after, limit).catch(() => []),
      }
    },
  },
  {
    breaks: 'it begins anew, at any number, when its records are gone',
    caughtBy: ['gap.lost-writer'],
    create(storage) {
      const log = honest(storage)
      const unchecked = careless(storage)
      return {
        ...log,
        append: (source, records) =>
          (storage.sources.has(source) || records[0]?.number === 1 ? log : unchecked).append(source, records),
      }
    },
  },
  {
    breaks: 'it accepts holes',
    caughtBy: ['gap.at-start', 'gap.later', 'gap.within-append', 'gap.other-partitions'],
    create(storage) {
      const log = honest(storage)
      const unchecked = careless(storage)
      return {
        ...log,
        append: (source, records) =>
          log.append(source, records).catch(async (error: unknown) => {
            if (!(error instanceof AtollError) || error.code !== 'LOG_GAP') throw error
            await unchecked.append(source, records)
          }),
      }
    },
  },
  {
    breaks: 'it writes what comes before the record that it refuses',
    caughtBy: [
      'gap.within-append',
      'gap.other-partitions',
      'divergence.writes-nothing',
      'tail.after-refusal',
      'limits.too-large',
    ],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          for (const record of records) await log.append(source, [record])
        },
      }
    },
  },
  {
    breaks: 'it does not check, and hides what comes after a hole',
    caughtBy: ['gap.unchecked'],
    create(storage) {
      const log = honest(storage, { checksAppends: false })
      return {
        ...log,
        async read(source, partition, after, limit) {
          const found = await log.read(source, partition, after, limit)
          let unbroken = 0
          for (const { number } of storage.sources.get(source)?.get(partition) ?? [])
            if (number === unbroken + 1) unbroken = number
          return found.filter((record) => record.number <= unbroken)
        },
      }
    },
  },
]

export const divergenceSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it takes another event under a known number for a repeat',
    caughtBy: [
      'divergence.refused',
      'divergence.within-append',
      'divergence.writes-nothing',
      'divergence.after-reopen',
    ],
    create: changingRecords((record: LogRecord) => ({
      ...record,
      id: `${record.type}/${record.partition}/${record.number}`,
    })),
  },
  {
    breaks: 'it puts the other event in place of the first',
    caughtBy: ['divergence.refused'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        append: (source, records) =>
          log.append(source, records).catch((error: unknown) => {
            for (const record of records) {
              const stored = storage.sources.get(source)?.get(record.partition)
              if (stored?.[record.number - 1])
                stored[record.number - 1] = { ...record, source, offset: String(record.number) }
            }
            throw error
          }),
      }
    },
  },
]

export const limitSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it takes data of any size',
    caughtBy: ['limits.too-large', 'limits.bytes', 'concurrency.refused-alone'],
    create(storage) {
      const log = createMemoryLog({ storage })
      return { ...log, capabilities: { ...log.capabilities, dataBytesMax } }
    },
  },
  {
    breaks: 'it refuses data that just fits',
    caughtBy: ['limits.largest'],
    create(storage) {
      const log = createMemoryLog({ storage, dataBytesMax: dataBytesMax - 1 })
      return { ...log, capabilities: { ...log.capabilities, dataBytesMax } }
    },
  },
  {
    breaks: 'it cuts large data off',
    caughtBy: ['limits.largest'],
    create: changingRecords((record) =>
      record.data.length < 4000 ? record : { ...record, data: record.data.slice(0, 4000) },
    ),
  },
  {
    breaks: 'it counts characters for bytes',
    caughtBy: ['limits.bytes'],
    create(storage) {
      const log = createMemoryLog({ storage })
      return {
        ...log,
        capabilities: { ...log.capabilities, dataBytesMax },
        async append(source, records) {
          if (records.some((record) => record.data.length > dataBytesMax))
            throw new AtollError('BODY_TOO_LARGE', 'too many characters')
          await log.append(source, records)
        },
      }
    },
  },
]

export const contentSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it keeps data in one byte a character',
    caughtBy: ['content.unicode'],
    create: changingRecords((record) => ({ ...record, data: Buffer.from(record.data, 'latin1').toString('latin1') })),
  },
  {
    breaks: 'it normalizes data',
    caughtBy: ['content.unicode'],
    create: changingRecords((record) => ({ ...record, data: record.data.normalize('NFC') })),
  },
  {
    breaks: 'it trims keys',
    caughtBy: ['content.keys'],
    create: changingRecords((record) => ({ ...record, key: record.key.trim() })),
  },
  {
    breaks: 'it ends texts at NUL',
    caughtBy: ['content.keys'],
    create: changingRecords((record) => ({ ...record, key: record.key.replace(/\0.*/s, '') })),
  },
  {
    breaks: 'it takes order tokens for numbers',
    caughtBy: ['content.order-tokens'],
    create: changingRecords((record) => ({ ...record, order: String(Number(record.order)) })),
  },
  {
    breaks: 'it keeps times to the second',
    caughtBy: ['content.numbers'],
    create: changingRecords((record) => ({ ...record, at: record.at - (record.at % 1000) })),
  },
]

export const boundsSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it makes a partition of whatever it is given',
    caughtBy: ['bounds.partition'],
    create(storage) {
      const log = honest(storage)
      const toPartition = (partition: number): number => Math.abs(Math.trunc(partition)) % 8 || 0
      return {
        ...log,
        append: (source, records) =>
          log.append(
            source,
            records.map((record) => ({ ...record, partition: toPartition(record.partition) })),
          ),
        read: (source, partition, after, limit) => log.read(source, toPartition(partition), after, limit),
        tail: (source, partition) => log.tail(source, toPartition(partition)),
      }
    },
  },
  {
    breaks: 'it rounds numbers',
    caughtBy: ['bounds.number'],
    create: changingRecords((record) => ({ ...record, number: Math.max(1, Math.trunc(record.number) || 1) })),
  },
  {
    breaks: 'it makes a name of whatever it is given',
    caughtBy: ['bounds.source'],
    create(storage) {
      const log = honest(storage)
      const toName = (source: string): string => `a${source.toLowerCase().replace(/[^a-z0-9-]/g, '')}`.slice(0, 63)
      return {
        ...log,
        append: (source, records) => log.append(toName(source), records),
        read: async (source, partition, after, limit) =>
          (await log.read(toName(source), partition, after, limit)).map((record) => ({ ...record, source })),
        tail: (source, partition) => log.tail(toName(source), partition),
        watch: (source, listener) => log.watch(toName(source), listener),
      }
    },
  },
  {
    breaks: 'it reads an offset as a number, however it is written',
    caughtBy: ['bounds.offset'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        read: (source, partition, after, limit) =>
          log.read(source, partition, after === null ? null : String(Number(after)), limit),
      }
    },
  },
]

import type { Log, LogCapabilities, LogRecord, StoredRecord } from '../../src/driver.ts'
import { createMemoryLog, type MemoryLogOptions, type MemoryStorage } from '../../src/memory.ts'

/** A log that breaks one promise, to prove that the suite would notice. */
export interface Saboteur {
  /** What it does wrong, as a sentence that begins with "it". */
  readonly breaks: string
  /** The tests that must fail because of it. Others may fail as well. */
  readonly caughtBy: readonly string[]
  /** What its harness declares, where that differs from what the log says of itself. */
  readonly declares?: Partial<LogCapabilities>
  create(storage: MemoryStorage): Log
}

/** The log that saboteurs spoil. */
export function honest(storage: MemoryStorage, options: Omit<MemoryLogOptions, 'storage' | 'dataBytesMax'> = {}): Log {
  return createMemoryLog({ ...options, storage, dataBytesMax })
}

/** A log that writes everything down as it comes, and says that it checks. */
export function careless(storage: MemoryStorage): Log {
  const log = honest(storage, { checksAppends: false })
  return { ...log, capabilities: { ...log.capabilities, checksAppends: true } }
}

/** A log whose appends go through `change` record by record. */
export function changingRecords(change: (record: LogRecord) => LogRecord): (storage: MemoryStorage) => Log {
  return (storage) => {
    const log = honest(storage)
    return { ...log, append: (source, records) => log.append(source, records.map(change)) }
  }
}

/** A log whose answers to `read` go through `change`. */
export function changingReads(
  change: (records: StoredRecord[], limit: number) => StoredRecord[],
): (storage: MemoryStorage) => Log {
  return (storage) => {
    const log = honest(storage)
    return {
      ...log,
      read: async (source, partition, after, limit) => change(await log.read(source, partition, after, limit), limit),
    }
  }
}

/** The end of this turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Small, so that the tests of the limit are quick. */
export const dataBytesMax = 4096

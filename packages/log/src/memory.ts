// For tests, and for authors of drivers to read first: the smallest log that keeps every promise.

import { AtollError } from '@atoll/host'
import type { Log, LogRecord, StoredRecord } from './driver.ts'
import { assertPartition, assertRecord, assertSource, numberOfOffset } from './drivers/shared/checks.ts'

/** What a log in memory stands on. Pass the same one to a second log, and it finds what the first one left. */
export interface MemoryStorage {
  /** While true, appends fail as on a full disk. */
  full: boolean
  /** While true, calls are refused with UNAVAILABLE, as when an engine is out of reach. */
  away?: boolean
  /** While set, calls are refused with UNAVAILABLE, because this is not the password. */
  wrongPassword?: string
  /** Source → partition → records. */
  readonly sources: Map<string, Map<number, StoredRecord[]>>
}

export interface MemoryLogOptions {
  /** Without it the records are gone when the log is closed. */
  storage?: MemoryStorage
  /** Whether it refuses gaps and divergence and ignores repeats. Default true. */
  checksAppends?: boolean
  /** The largest `data` of one record, in bytes of UTF-8. Default 1 MiB. */
  dataBytesMax?: number
}

/** An empty storage. */
export function createMemoryStorage(): MemoryStorage {
  return { full: false, sources: new Map() }
}

type Listeners = Map<string, Set<{ tell(partition: number): void }>>

const listenersByStorage = new WeakMap<MemoryStorage, Listeners>()

/** Logs on one storage hear of each other's records. */
function listenersOf(storage: MemoryStorage): Listeners {
  const found = listenersByStorage.get(storage) ?? new Map()
  listenersByStorage.set(storage, found)
  return found
}

/** A log that lives in memory. Unbounded, and as durable as its process: for tests. Its methods need no `this`. */
export function createMemoryLog(options: MemoryLogOptions = {}): Log {
  const { storage = createMemoryStorage(), checksAppends = true, dataBytesMax = 1024 * 1024 } = options
  const listeners = listenersOf(storage)
  const own = new Set<() => void>()
  let closed = false

  function assertReachable(): void {
    assertOpen()
    if (storage.away) throw new AtollError('UNAVAILABLE', 'the storage is out of reach')
    if (storage.wrongPassword !== undefined) throw new AtollError('UNAVAILABLE', 'the storage refuses the credentials')
  }

  const stream = (source: string, partition: number): StoredRecord[] =>
    storage.sources.get(source)?.get(partition) ?? []

  function assertOpen(): void {
    if (closed) throw new AtollError('LOG_CLOSED', 'the log was used after close')
  }

  /** What is new among the records of a call; throws if it must be refused. */
  function fresh(source: string, records: readonly LogRecord[]): readonly LogRecord[] {
    assertSource(source)
    for (const record of records) assertRecord(source, record, dataBytesMax)
    if (!checksAppends) return records
    const added = new Map<number, LogRecord[]>()
    for (const record of records) {
      const { partition, number, id } = record
      const old = stream(source, partition)
      const young = added.get(partition) ?? []
      const taken = old[number - 1] ?? young[number - 1 - old.length]
      if (taken && taken.id !== id)
        throw new AtollError(
          'LOG_DIVERGED',
          `number ${number} in partition ${partition} of ${source} belongs to event ${taken.id}, not to ${id}`,
        )
      if (taken) continue
      const last = old.length + young.length
      if (number !== last + 1)
        throw new AtollError('LOG_GAP', `number ${number} in partition ${partition} of ${source} would follow ${last}`)
      young.push(record)
      added.set(partition, young)
    }
    return [...added.values()].flat()
  }

  return {
    capabilities: {
      checksAppends,
      persistent: options.storage !== undefined,
      canBeDurable: options.storage !== undefined,
      dataBytesMax,
    },

    async append(source, records) {
      assertReachable()
      const added = fresh(source, records)
      if (storage.full && added.length > 0)
        throw new AtollError('STORE_FULL', `there is no room for ${added.length} records of ${source}`)
      const partitions = storage.sources.get(source) ?? new Map<number, StoredRecord[]>()
      storage.sources.set(source, partitions)
      for (const record of added) {
        const stored = partitions.get(record.partition) ?? []
        stored.push({ ...record, source, offset: String(stored.length + 1) })
        partitions.set(record.partition, stored)
      }
      for (const partition of new Set(added.map((record) => record.partition))) {
        for (const listener of listeners.get(source) ?? []) queueMicrotask(() => listener.tell(partition))
      }
    },

    async read(source, partition, after, limit) {
      assertReachable()
      assertSource(source)
      assertPartition(source, partition)
      const start = after === null ? 0 : numberOfOffset(after)
      const stored = stream(source, partition)
      if (start > stored.length)
        throw new AtollError(
          'LOG_GAP',
          `partition ${partition} of ${source} ends at ${stored.length}, and has been read up to ${start}: records are lost`,
        )
      return stored.slice(start, start + limit).map((record) => ({ ...record }))
    },

    async tail(source, partition) {
      assertReachable()
      assertSource(source)
      assertPartition(source, partition)
      const last = stream(source, partition).at(-1)
      return last ? { number: last.number, offset: last.offset, id: last.id } : null
    },

    watch(source, listener) {
      assertOpen()
      assertSource(source)
      const entry = { tell: listener }
      const entries = listeners.get(source) ?? new Set()
      listeners.set(source, entries.add(entry))
      const end = (): void => {
        entries.delete(entry)
        entry.tell = () => {}
      }
      own.add(end)
      return end
    },

    async examine() {
      assertReachable()
      const survives = { 'process kill': false, 'OS crash': false, 'power loss': false, 'loss of a node': false }
      return { engine: 'memory', version: '1', findings: [], survives }
    },

    async close() {
      closed = true
      for (const end of own) end()
    },
  }
}

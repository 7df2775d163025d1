import { AtollError } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'
import type { Append } from '../shared/group-commit.ts'
import type { Addition } from './records.ts'

/** What is known of the log, by {@link streamKey} and {@link placeKey}. */
export interface Facts {
  /**
   * Whether it was looked up for this plan. If not, it is what this process remembers, and no reason to refuse
   * anything.
   */
  readonly certain: boolean
  /** The number of each stream's last record. */
  readonly lasts: ReadonlyMap<string, number>
  /** The ids of records; null where there is none. */
  readonly ids: ReadonlyMap<string, string | null>
}

/** What is to be done for some appends. */
export interface Plan {
  /** By source, partition and number: all writers add in this order, so none waits for another in a circle. */
  readonly additions: readonly Addition[]
  readonly streams: readonly PlannedStream[]
  readonly refusals: ReadonlyMap<Append, AtollError>
}

/** One partition of one source. */
export interface PlannedStream {
  readonly key: string
  readonly source: string
  readonly partition: number
  /** The number of its last record now. */
  readonly last: number
  /** And afterwards. */
  next: number
}

/** Tells one partition of one source from all others. */
export function streamKey(source: string, partition: number): string {
  return `${partition} ${source}`
}

/** Tells one record from all others. */
export function placeKey(source: string, partition: number, number: number): string {
  return `${number} ${streamKey(source, partition)}`
}

/**
 * Decides what of the appends is new, and what must be refused. Undefined if that cannot be decided without looking.
 */
export function planAppends(appends: readonly Append[], facts: Facts): Plan | undefined {
  const streams = new Map<string, PlannedStream>()
  const additions: Addition[] = []
  const refusals = new Map<Append, AtollError>()

  for (const append of appends) {
    const start = additions.length
    const verdict = take(append)
    if (verdict === 'unknown') return undefined
    if (verdict === 'fits') continue
    refusals.set(append, verdict)
    for (const { source, record } of additions.splice(start)) streams.get(streamKey(source, record.partition))!.next--
  }
  return {
    additions: streams.size === 1 ? additions : additions.sort(byPlace),
    streams: [...streams.values()],
    refusals,
  }

  /** Takes what is new of an append; says if it must be refused. */
  function take({ source, records }: Append): 'fits' | 'unknown' | AtollError {
    for (const record of records) {
      const stream = findStream(source, record.partition)
      if (!stream) return 'unknown'
      if (record.number === stream.next + 1) {
        stream.next++
        additions.push({ source, record })
        continue
      }
      if (!facts.certain) return 'unknown'
      const refusal = refusalOfRepeat(stream, record)
      if (refusal) return refusal
    }
    return 'fits'
  }

  function findStream(source: string, partition: number): PlannedStream | undefined {
    const key = streamKey(source, partition)
    const known = streams.get(key)
    if (known) return known
    const last = facts.lasts.get(key)
    if (last === undefined) return undefined
    const stream: PlannedStream = { key, source, partition, last, next: last }
    streams.set(key, stream)
    return stream
  }

  function refusalOfRepeat(
    { source, partition, last, next }: PlannedStream,
    record: LogRecord,
  ): AtollError | undefined {
    const { number } = record
    const details = { source, partition, number }
    if (!(number >= 1 && number <= next)) {
      return new AtollError(
        'LOG_GAP',
        `record ${number} cannot be appended to partition ${partition} of ${source}: the next number is ${next + 1}`,
        {
          details: { ...details, expected: next + 1 },
        },
      )
    }
    const id =
      number > last
        ? additions.find(
            (added) =>
              added.source === source && added.record.partition === partition && added.record.number === number,
          )?.record.id
        : facts.ids.get(placeKey(source, partition, number))
    if (id === record.id) return undefined
    if (id === undefined || id === null) {
      return new AtollError(
        'LOG_GAP',
        `record ${number} in partition ${partition} of ${source} is missing from the log, which goes on to ${last}: records are lost. Restore the log`,
        { details },
      )
    }
    return new AtollError(
      'LOG_DIVERGED',
      `record ${number} in partition ${partition} of ${source} is event ${id}, and event ${record.id} was to be appended under that number: log and store are from different histories`,
      { details },
    )
  }
}

function byPlace(a: Addition, b: Addition): number {
  if (a.source !== b.source) return a.source < b.source ? -1 : 1
  return a.record.partition - b.record.partition || a.record.number - b.record.number
}

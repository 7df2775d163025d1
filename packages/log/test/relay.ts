import assert from 'node:assert/strict'
import { pause, until } from '@atoll/engines/waiting'
import { assertNumbers, createRecords, numbersTo, readAll } from '../src/conformance/records.ts'
import type { Log, Offset } from '../src/driver.ts'

// What relays and subscribers do with a log that is away for a while.

/** Appends to a partition until it is stopped. */
export interface Relay {
  /** The last number whose append resolved. */
  readonly acknowledged: number
  /** How many appends were refused. */
  readonly refusals: number
  /** Resolves with the last number. Rejects if anything but UNAVAILABLE was answered. */
  stop(): Promise<number>
}

/** Appends three numbers after the other, from `first` on, each three until they are taken. */
export function startRelay(log: Log, source: string, partition: number, first = 1): Relay {
  let acknowledged = first - 1
  let refusals = 0
  const work = startWork(async () => {
    try {
      await log.append(source, createRecords(source, partition, acknowledged + 1, acknowledged + 3))
      acknowledged += 3
    } catch (error) {
      assertUnavailable(error)
      refusals++
    }
  })
  return {
    get acknowledged() {
      return acknowledged
    },
    get refusals() {
      return refusals
    },
    async stop() {
      await work.stop()
      return acknowledged
    },
  }
}

/** Reads a partition until it is stopped. */
export interface Subscriber {
  /** The last number that was read. */
  readonly number: number
  /** Rejects if a number was missing, or anything but UNAVAILABLE answered. */
  stop(): Promise<void>
}

/** Reads on and on from where it stands, drops numbers that it has, and minds that none is missing. */
export function startSubscriber(log: Log, source: string, partition: number): Subscriber {
  let number = 0
  let after: Offset | null = null
  const work = startWork(async () => {
    try {
      for (const record of await log.read(source, partition, after, 100)) {
        assert.ok(
          record.number <= number + 1,
          `partition ${partition} of ${source} goes on with ${record.number} after ${number}`,
        )
        number = Math.max(number, record.number)
        after = record.offset
      }
    } catch (error) {
      assertUnavailable(error)
    }
  })
  return {
    get number() {
      return number
    },
    stop: () => work.stop(),
  }
}

/** Resolves when each has had ten more appends acknowledged. */
export function goOn(relays: readonly Relay[]): Promise<void> {
  const goals = relays.map(({ acknowledged }) => acknowledged + 30)
  return until('all append', () => relays.every(({ acknowledged }, at) => acknowledged >= goals[at]!))
}

/** Asserts that partitions have everything up to these numbers, once and in order, and that the log says so. */
export async function assertWhole(log: Log, source: string, lasts: readonly number[]): Promise<void> {
  for (const [partition, last] of lasts.entries()) {
    const records = await readAll(log, source, partition)
    assertNumbers(
      records.map(({ number }) => number),
      numbersTo(last),
    )
    for (const { id, number } of records) assert.equal(id, `${source}/${partition}/${number}`)
    assert.equal((await log.tail(source, partition))?.number, last)
  }
}

/** Throws whatever is not UNAVAILABLE. */
export function assertUnavailable(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'UNAVAILABLE')) throw error
}

function startWork(step: () => Promise<void>): { stop(): Promise<void> } {
  let isStopping = false
  const running = (async () => {
    for (; !isStopping; await pause()) await step()
  })()
  running.catch(() => undefined) // whoever stops it is told
  return {
    stop() {
      isStopping = true
      return running
    },
  }
}

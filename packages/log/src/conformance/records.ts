import assert from 'node:assert/strict'
import { AtollError, type ErrorCode } from '@atoll/host'
import type { Log, LogRecord, Offset, StoredRecord } from '../driver.ts'

/**
 * A record such as a relay would append. Its id follows from its place, so that the same place is the same event again.
 */
export function createRecord(
  source: string,
  partition: number,
  number: number,
  overrides: Partial<LogRecord> = {},
): LogRecord {
  return {
    partition,
    number,
    order: String(1000 + number),
    id: `${source}/${partition}/${number}`,
    type: `${source}.happened`,
    version: 1,
    key: `key-${partition}`,
    at: 1_800_000_000_000 + number,
    data: JSON.stringify({ source, partition, number }),
    trace: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    cause: `cause-${number}`,
    ...overrides,
  }
}

/** The records numbered `first` to `last` of a partition. */
export function createRecords(source: string, partition: number, first: number, last: number): LogRecord[] {
  return Array.from({ length: last - first + 1 }, (_, index) => createRecord(source, partition, first + index))
}

/** Everything in a partition after `after`, read in pages of `pageSize`, as a subscriber reads. */
export async function readAll(
  log: Log,
  source: string,
  partition: number,
  after: Offset | null = null,
  pageSize = 100,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = []
  for (let from = after; ; from = found.at(-1)!.offset) {
    const page = await log.read(source, partition, from, pageSize)
    if (page.length === 0) return found
    found.push(...page)
    assert.ok(found.length <= recordsMax, `reading ${source} on from each last offset comes to no end`)
  }
}

/** The numbers of {@link readAll}. */
export async function readNumbers(log: Log, source: string, partition: number): Promise<number[]> {
  return (await readAll(log, source, partition)).map((record) => record.number)
}

/** The numbers as a subscriber takes them, who drops what a log that does not check appends may have twice. */
export async function readOnce(log: Log, source: string, partition: number): Promise<number[]> {
  const numbers = await readNumbers(log, source, partition)
  return log.capabilities.checksAppends ? numbers : dropKnown(numbers)
}

/** What is left for a reader who drops each number that is not above those before it. */
export function dropKnown(numbers: readonly number[]): number[] {
  let last = 0
  return numbers.filter((number) => {
    if (number <= last) return false
    last = number
    return true
  })
}

/** [1, 2, … last]. */
export function numbersTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1)
}

/**
 * Asserts that the numbers are these. Says where they part, which for long runs a generic comparison takes minutes to
 * find out.
 */
export function assertNumbers(actual: readonly number[], expected: readonly number[]): void {
  const at = Array.from({ length: Math.max(actual.length, expected.length) }, (_, index) => index).find(
    (index) => actual[index] !== expected[index],
  )
  if (at === undefined) return
  const found = actual.slice(at, at + 10).join(', ') || 'nothing'
  const wanted = expected.slice(at, at + 10).join(', ') || 'nothing'
  assert.fail(
    `from place ${at} on, there should be the numbers ${wanted}, and there are ${found} (${actual.length} in all, ${expected.length} wanted)`,
  )
}

/** Asserts that it is refused with that code, and returns the error. */
export async function assertRefused(code: ErrorCode, refused: Promise<unknown>): Promise<AtollError> {
  const error = await refused.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error !== undefined, `this should have been refused with ${code}, and was accepted`)
  assert.ok(
    error instanceof AtollError,
    `this should have been refused with an AtollError ${code}, not with ${String(error)}`,
  )
  assert.equal(error.code, code)
  return error
}

/** More than any test writes: a reader that gets so many is going in circles. */
const recordsMax = 10_000

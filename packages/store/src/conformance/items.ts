import assert from 'node:assert/strict'
import { AtollError, type ErrorCode } from '@atoll/host'
import { storeFailures, type Queries, type Statement, type Store, type StoreDriver } from '../driver.ts'
import type { Outcome } from './harness.ts'

/** A table that most tests get by with. */
export const itemsMigrations = { '0001-items': 'CREATE TABLE items (id TEXT PRIMARY KEY, cents BIGINT)' }

const insertItem: Statement = { sql: 'INSERT INTO items (id, cents) VALUES (?, ?)' }
const itemIds: Statement = { sql: 'SELECT id FROM items ORDER BY id' }

/** A store with the table. */
export function openItems(driver: StoreDriver, name = 'orders'): Promise<Store> {
  return driver.open(name, itemsMigrations)
}

export async function insert(queries: Queries, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) await queries.run(insertItem, [id, ids.length])
}

/** The ids of all items, sorted. */
export async function readIds(queries: Queries): Promise<string[]> {
  return (await queries.all<{ id: string }>(itemIds)).map((row) => row.id)
}

/** What the reader of a store finds. */
export async function assertIds(queries: Queries, expected: readonly string[]): Promise<void> {
  assert.deepEqual(await readIds(queries), [...expected])
}

/** What a test throws, to see whether the same comes back. */
export class Mishap extends Error {}

/** Asserts that it is refused with that code. */
export async function assertRefused(code: ErrorCode, refused: Promise<unknown>): Promise<void> {
  const error = await refused.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error !== undefined, `this should have been refused with ${code}, and was accepted`)
  assertCode(code, error)
}

export function assertCode(code: ErrorCode, error: unknown): void {
  assert.ok(
    error instanceof AtollError,
    `this should have been refused with an AtollError ${code}, not with ${String(error)}`,
  )
  assert.equal(error.code, code, error.message)
}

/** Asserts that a write failed, and by its own doing. */
export function assertOwnFailure(outcome: Outcome<unknown>, what: string): void {
  assert.ok(!outcome.ok, `${what}: this should have failed`)
  const { error } = outcome
  assert.ok(
    !(error instanceof AtollError && storeFailures.has(error.code)),
    `${what}: the store is blamed: ${String(error)}`,
  )
}

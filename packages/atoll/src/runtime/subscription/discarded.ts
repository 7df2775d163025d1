import { AtollError } from '@atoll/host'
import type { Row, Statement, Store, Transaction } from '@atoll/store/driver'
import type { HeldEvent, HeldEvents } from './held.ts'

/** What of a held event is kept when it is discarded. */
const kept = [
  'key',
  'attempts',
  'changed_at',
  'error_code',
  'error_message',
  'error_stack',
  '"order"',
  'id',
  'type',
  'version',
  'at',
  'data',
  'trace',
  'cause',
] as const

const selectHeld: Statement = {
  sql: `SELECT seq, state, ${kept.join(', ')} FROM atoll_held WHERE subscription = ? AND source = ? AND partition = ? AND number = ?`,
}
const insertDiscarded: Statement = {
  sql: `INSERT INTO atoll_discarded (subscription, source, partition, number, discarded_at, discarded_by, reason, ${kept.join(', ')})
        VALUES (?, ?, ?, ?, ?, ?, ?, ${kept.map(() => '?').join(', ')})`,
}
const selectDiscarded: Statement = {
  sql: 'SELECT discarded_at AS "at", discarded_by AS "by", reason FROM atoll_discarded WHERE subscription = ? AND source = ? AND partition = ? AND number = ?',
}

/** The oldest of a time, in the order of their index. */
const selectOld: Statement = {
  sql: `SELECT discarded_at AS "at", source, partition, number FROM atoll_discarded WHERE subscription = ? AND discarded_at < ?
        ORDER BY discarded_at, source, partition, number LIMIT ?`,
}
const isOld = 'subscription = ? AND (discarded_at, source, partition, number) <= (?, ?, ?, ?)'
const countOld: Statement = {
  sql: `INSERT INTO atoll_discarded_counts (subscription, source, type, count)
        SELECT subscription, source, type, count(*) FROM atoll_discarded WHERE ${isOld} GROUP BY subscription, source, type
        ON CONFLICT (subscription, source, type) DO UPDATE SET count = atoll_discarded_counts.count + excluded.count`,
}
const keepNumbers: Statement = {
  sql: `INSERT INTO atoll_discarded_numbers (subscription, source, partition, number)
        SELECT subscription, source, partition, number FROM atoll_discarded WHERE ${isOld} ON CONFLICT DO NOTHING`,
}
const deleteOld: Statement = { sql: `DELETE FROM atoll_discarded WHERE ${isOld}` }

/** A held event, by its place. */
export interface HeldPlace {
  readonly partition: number
  readonly key: string
  readonly source: string
  readonly number: number
}

/** Why an event is discarded, by whom, and when. */
export interface DiscardNote {
  readonly at: number
  readonly by: string
  readonly reason: string
}

/** Takes a dead letter out of what is held, and notes it. Resolves with the event; COMMAND_USAGE if it is not dead. */
export async function discardHeld(
  tx: Transaction,
  held: HeldEvents,
  subscription: string,
  place: HeldPlace,
  note: DiscardNote,
): Promise<HeldEvent> {
  const where = [subscription, place.source, place.partition, place.number]
  const row = await tx.get<Row>(selectHeld, where)
  if (!row) throw await notThere(tx, subscription, place)
  if (row['state'] !== 'dead') {
    const why = row['state'] === 'parked' ? 'it is parked behind one of its key' : 'it will be tried again by itself'
    throw new AtollError('COMMAND_USAGE', `${nameOf(subscription, place)} is not a dead letter: ${why}`)
  }
  await tx.run(insertDiscarded, [
    ...where,
    note.at,
    note.by,
    note.reason,
    ...kept.map((column) => row[column.replaceAll('"', '')]!),
  ]) // no column of it is null
  const event = { ...row, ...place } as unknown as HeldEvent // the columns are its members
  await held.release(tx, event, note.at)
  return event
}

async function notThere(tx: Transaction, subscription: string, place: HeldPlace): Promise<AtollError> {
  const note = await tx.get<DiscardNote>(selectDiscarded, [subscription, place.source, place.partition, place.number])
  const name = nameOf(subscription, place)
  return note
    ? saysDiscarded(name, note)
    : new AtollError('COMMAND_USAGE', `there is no dead letter ${name} any more: it was handled, or discarded long ago`)
}

/**
 * Lets go of letters that were discarded before that time, and goes on counting them, so that the account of the
 * subscription balances. `keepsNumbers`: of a projection, whose replay asks which events they were. That ends with the
 * generation, and is never more than the log has of them.
 */
export async function forgetDiscarded(
  store: Store,
  subscription: string,
  before: number,
  { keepsNumbers }: { readonly keepsNumbers: boolean },
): Promise<void> {
  for (let isMore = true; isMore;) {
    isMore = await store.write(async (tx) => {
      const last = (await tx.all<HeldPlace & DiscardNote>(selectOld, [subscription, before, FORGET_ROWS])).at(-1)
      if (!last) return false
      const old = [subscription, last.at, last.source, last.partition, last.number]
      await tx.run(countOld, old)
      if (keepsNumbers) await tx.run(keepNumbers, old)
      await tx.run(deleteOld, old)
      return true
    })
  }
}

/** No more of them at a time than one commit should carry. */
const FORGET_ROWS = 1_000

/** Why a letter cannot be discarded that was discarded before. */
export function saysDiscarded(name: string, { at, by, reason }: DiscardNote): AtollError {
  return new AtollError(
    'COMMAND_USAGE',
    `${name} was discarded already, by ${by} at ${new Date(at).toISOString()}: ${reason}`,
  )
}

/** The id of a dead letter, as it is listed. */
export function nameOf(
  subscription: string,
  { source, partition, number }: Pick<HeldPlace, 'source' | 'partition' | 'number'>,
): string {
  return `${subscription}/${source}/${partition}/${number}`
}

/** What the id of a dead letter names; undefined for what cannot be one. */
export function placeNamed(
  id: string,
): ({ readonly subscription: string } & Pick<HeldPlace, 'source' | 'partition' | 'number'>) | undefined {
  const [, subscription, source, partition, number] = /^([^/]+)\/([^/]+)\/(\d{1,9})\/(\d{1,15})$/.exec(id) ?? []
  return number === undefined
    ? undefined
    : // all or none
      { subscription: subscription!, source: source!, partition: Number(partition), number: Number(number) }
}

import { AtollError } from '@atoll/host'
import type { Row, Statement, Transaction } from '@atoll/store/driver'
import type { HeldEvent, HeldEvents } from './held.ts'

/** What of a held event is kept when it is discarded. */
const kept = [
  'key', 'attempts', 'changed_at', 'error_code', 'error_message', 'error_stack', '"order"', 'id', 'type', 'version', 'at', 'data', 'trace', 'cause',
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
export async function discardHeld(tx: Transaction, held: HeldEvents, subscription: string, place: HeldPlace, note: DiscardNote): Promise<HeldEvent> {
  const where = [subscription, place.source, place.partition, place.number]
  const row = await tx.get<Row>(selectHeld, where)
  if (!row) throw await notThere(tx, subscription, place)
  if (row['state'] !== 'dead') {
    const why = row['state'] === 'parked' ? 'it is parked behind one of its key' : 'it will be tried again by itself'
    throw new AtollError('COMMAND_USAGE', `${nameOf(subscription, place)} is not a dead letter: ${why}`)
  }
  await tx.run(insertDiscarded, [...where, note.at, note.by, note.reason, ...kept.map((column) => row[column.replaceAll('"', '')]!)]) // no column of it is null
  const event = { ...row, ...place } as unknown as HeldEvent // the columns are its members
  await held.release(tx, event, note.at)
  return event
}

async function notThere(tx: Transaction, subscription: string, place: HeldPlace): Promise<AtollError> {
  const note = await tx.get<DiscardNote>(selectDiscarded, [subscription, place.source, place.partition, place.number])
  const name = nameOf(subscription, place)
  if (!note) return new AtollError('COMMAND_USAGE', `there is no dead letter ${name} any more: it was handled`)
  return new AtollError('COMMAND_USAGE', `${name} was discarded already, by ${note.by} at ${new Date(note.at).toISOString()}: ${note.reason}`)
}

/** The id of a dead letter, as it is listed. */
export function nameOf(subscription: string, { source, partition, number }: Pick<HeldPlace, 'source' | 'partition' | 'number'>): string {
  return `${subscription}/${source}/${partition}/${number}`
}

import type { Host, Logger } from '@atoll/host'
import type { Queries, Statement, Store, Value } from '@atoll/store/driver'
import { LOST } from './history.ts'
import type { RuntimeOptions } from '../options.ts'
import { insertEvent } from './outbox.ts'

// When a source and its log are restored to an earlier moment and a subscriber is not, the subscriber has handled
// events that nobody knows any more. The source would give their numbers to its next events, and the subscriber would
// take those for handled. So these numbers, and the places in the commit order, are used up before the source emits
// anything, by records that no subscriber handles.

const selectEnd: Statement = {
  sql: `SELECT COALESCE((SELECT number FROM atoll_streams WHERE partition = ?), 0) AS number, (SELECT count(*) FROM atoll_outbox WHERE partition = ?) AS waiting,
          COALESCE((SELECT max(seq) FROM (SELECT max(seq) AS seq FROM atoll_outbox UNION ALL SELECT max(seq) FROM atoll_streams) AS places), 0) AS seq`,
}

const selectGiven: Statement = {
  sql: `SELECT partition, max(number) AS noted, max(number) + sum(waiting) AS given FROM (SELECT partition, number, 0 AS waiting FROM atoll_streams
          UNION ALL SELECT partition, 0, 1 FROM atoll_outbox) AS numbers GROUP BY partition`,
}
const selectPassed: Statement = { sql: 'SELECT number FROM atoll_passed WHERE subscription = ? AND partition = ?' }
const insertPassed: Statement = {
  sql: 'INSERT INTO atoll_passed (subscription, partition, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
}
const deletePassed: Statement = { sql: 'DELETE FROM atoll_passed WHERE subscription = ? AND partition = ?' }

/** How many numbers a service has given in a partition. */
export interface Given {
  readonly partition: number
  /** Those that it has noted as given: the log has them. */
  readonly noted: number
  /** With those that it will give to what waits in its outbox. */
  readonly given: number
}

/** How many numbers a service has given or will give to what it has emitted. */
export function readGiven(queries: Queries): Promise<readonly Given[]> {
  return queries.all<Given>(selectGiven)
}

/** Notes that a subscription had passed more than what its source had given by then. What was noted first stays. */
export async function notePassed(store: Store, subscription: string, partition: number, given: number): Promise<void> {
  await store.write((tx) => tx.run(insertPassed, [subscription, partition, given]))
}

/** How far a subscription has got in a partition of a source whose log ends before that. */
export interface Passed {
  readonly partition: number
  readonly number: number
  readonly order: string
}

/** The service whose numbers are used up. */
export interface Source {
  readonly name: string
  readonly store: Store
  readonly host: Host
  readonly logger: Logger
  readonly options: RuntimeOptions
}

/**
 * Uses up the numbers of a source that a subscription has passed and the source has not given. Resolves with whether it
 * had to, and could.
 *
 * It cannot where the source has emitted since it was restored: those events have numbers that the subscription has
 * passed, and would be skipped. `givenAtStart`: how many it had given when this process began; how many when that was
 * first seen stands in its store.
 */
export async function useUpNumbers(
  source: Source,
  givenAtStart: number,
  subscription: string,
  { partition, number, order }: Passed,
): Promise<boolean> {
  const { name, store, host, logger, options } = source
  const found = await store.write(async (tx): Promise<Found> => {
    // it has no FROM, so it has a row
    const end = (await tx.get<{ number: number; waiting: number; seq: number }>(selectEnd, [partition, partition]))!
    const given = end.number + end.waiting
    if (number <= given) return { lost: 0, count: 0 }
    const atFirst = (await tx.get<{ number: number }>(selectPassed, [subscription, partition]))?.number ?? givenAtStart
    const lost = number - atFirst
    const count = Math.max(number - given, Number(order) - end.seq)
    const obstacle = given > atFirst ? 'it has emitted since' : count > options.lostNumbersMax ? 'too many' : undefined
    if (obstacle) {
      await tx.run(insertPassed, [subscription, partition, atFirst])
      return { lost, count, obstacle }
    }
    const row = (): Value[] => [partition, host.uuid(), LOST, 1, LOST, host.now(), '{}', '', '']
    for (let nth = 0; nth < count; nth++) await tx.insert(insertEvent, row())
    await tx.run(deletePassed, [subscription, partition])
    return { lost, count }
  })
  if (found.lost === 0) return false
  logger.error(
    { service: name, subscription, partition, lost: found.lost },
    `ALARM: ${subscription} has handled events of ${name} that ${name} knows no more (was it restored from a backup, and ${subscription} not?); ${describe(found, subscription, source)}`,
  )
  return found.obstacle === undefined
}

interface Found {
  readonly lost: number
  /** How many marks use them up. */
  readonly count: number
  /** What keeps their numbers from being used up. */
  readonly obstacle?: 'it has emitted since' | 'too many'
}

function describe({ count, obstacle }: Found, subscription: string, { name, options }: Source): string {
  switch (obstacle) {
    case undefined:
      return 'their numbers are not given again'
    case 'too many':
      return `it takes ${count} marks to use their numbers up, which is more than lostNumbersMax (${options.lostNumbersMax}), so ${subscription} is halted. Restore its store from the same moment; or, before ${name} emits anything, raise runtime.lostNumbersMax to ${count} to give these numbers up`
    case 'it has emitted since':
      return `${name} has emitted others since under their numbers, so ${subscription} is halted, and skips none. Restore its store from the same moment; a projection can be built anew with \`atoll replay\``
  }
}

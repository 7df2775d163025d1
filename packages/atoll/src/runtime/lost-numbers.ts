import type { Host, Logger } from '@atoll/host'
import type { Statement, Store, Value } from '@atoll/store/driver'
import { LOST } from './history.ts'
import type { RuntimeOptions } from './options.ts'
import { insertEvent } from './outbox.ts'

// When a source and its log are restored to an earlier moment and a subscriber is not, the subscriber has handled events that nobody knows any
// more. The source would give their numbers to its next events, and the subscriber would take those for handled. So these numbers, and the
// places in the commit order, are used up before the source emits anything, by records that no subscriber handles.

const selectEnd: Statement = {
  sql: `SELECT COALESCE((SELECT number FROM atoll_streams WHERE partition = ?), 0) AS number, (SELECT count(*) FROM atoll_outbox WHERE partition = ?) AS waiting,
          COALESCE((SELECT max(seq) FROM (SELECT max(seq) AS seq FROM atoll_outbox UNION ALL SELECT max(seq) FROM atoll_streams) AS places), 0) AS seq`,
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

/** Uses up the numbers of a source that a subscription has passed and the source has not given. Resolves with whether it had to, and could. */
export async function useUpNumbers({ name, store, host, logger, options }: Source, subscription: string, { partition, number, order }: Passed): Promise<boolean> {
  const lost = await store.write(async (tx): Promise<number> => {
    const end = (await tx.get<{ number: number; waiting: number; seq: number }>(selectEnd, [partition, partition]))! // it has no FROM, so it has a row
    const given = end.number + end.waiting
    if (number <= given) return 0
    const count = Math.max(number - given, Number(order) - end.seq)
    const row = (): Value[] => [partition, host.uuid(), LOST, 1, LOST, host.now(), '{}', '', '']
    if (count <= options.lostNumbersMax) for (let nth = 0; nth < count; nth++) await tx.insert(insertEvent, row())
    return count <= options.lostNumbersMax ? number - given : Infinity
  })
  if (lost === 0) return false
  const isOver = lost === Infinity
  logger.error(
    { service: name, subscription, partition, lost },
    `ALARM: ${subscription} has handled events of ${name} that ${name} knows no more (was it restored from a backup, and ${subscription} not?); ` +
      (isOver
        ? `they are more than lostNumbersMax (${options.lostNumbersMax}), so ${subscription} stands still. Restore its store from the same moment, or raise runtime.lostNumbersMax to give these numbers up`
        : 'their numbers are not given again'),
  )
  return !isOver
}

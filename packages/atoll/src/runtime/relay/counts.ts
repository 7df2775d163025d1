import type { Queries, Statement } from '@atoll/store/driver'

const countEmitted: Statement = {
  sql: `SELECT type, sum(count) AS count FROM (SELECT type, count FROM atoll_published
          UNION ALL SELECT type, count(*) AS count FROM atoll_outbox GROUP BY type) AS emitted GROUP BY type`,
}

export interface Count {
  readonly type: string
  readonly count: number
}

/** How many events of each type a service has emitted, as its store says. */
export async function readEmitted(queries: Queries): Promise<Counts> {
  return toCounts(await queries.all<Count>(countEmitted))
}

/** By type. */
export type Counts = Readonly<Record<string, number>>

export function toCounts(rows: readonly Count[]): Counts {
  // PostgreSQL's sum of counts is a text
  return Object.fromEntries(rows.map(({ type, count }) => [type, Number(count)]))
}

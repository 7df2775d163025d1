import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import type { Cluster } from './cluster.ts'

/** How many events each subscription has yet to handle, by name. */
export type Pending = ReadonlyMap<string, number>

/**
 * Counts what is pending by what the stores alone know: what was emitted, less what was handled or given up. The ledger
 * reads every stream of the log for each cursor as well: asked again and again, it takes half the log's engine from
 * what is to come to rest.
 */
export function openPending({ app, engines }: Cluster): { pending(): Promise<Pending>; close(): Promise<void> } {
  const { system } = app
  const pool = openPool({
    url: engines.stores.engine.url,
    host: createNodeHost(),
    applicationName: 'proof',
    connectionsMax: 1,
  })
  return {
    async pending() {
      const schemas = await pool.query<{ name: string }>(
        `SELECT table_schema AS name FROM information_schema.tables WHERE table_name = 'atoll_handled' AND starts_with(table_schema, $1)`,
        [`${system.name}_`],
      )
      const { rows } = await pool.query<{ subscription: string; type: string; count: number }>(
        schemas.rows.map(({ name }) => selectCounts(quoteIdentifier(name))).join(' UNION ALL '),
      )
      const count = (subscription: string, type: string): number =>
        rows.reduce(
          (sum, row) => (row.subscription === subscription && row.type === type ? sum + Number(row.count) : sum),
          0,
        )
      return new Map(
        system.subscriptions.map(({ name, subscribers }) => [
          name,
          subscribers.reduce((sum, { event }) => sum + count('', event.name) - count(name, event.name), 0),
        ]),
      )
    },
    close: () => pool.close(),
  }
}

/** What was emitted, with no subscription; and what each subscription has done with. */
function selectCounts(schema: string): string {
  return `SELECT '' AS subscription, type, count FROM ${schema}.atoll_published
    UNION ALL SELECT '', type, count(*) FROM ${schema}.atoll_outbox GROUP BY type
    UNION ALL SELECT subscription, type, count FROM ${schema}.atoll_handled
    UNION ALL SELECT subscription, type, count(*) FROM ${schema}.atoll_held WHERE state <> 'retrying' GROUP BY subscription, type
    UNION ALL SELECT subscription, type, count(*) FROM ${schema}.atoll_discarded GROUP BY subscription, type
    UNION ALL SELECT subscription, type, count FROM ${schema}.atoll_discarded_counts`
}

import { randomBytes } from 'node:crypto'
import { engineUrl } from '@atoll/engines'
import type { Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import type { StoreDriver } from '@atoll/store/driver'
import { createPostgresStores } from '@atoll/store/postgres'

/** Stores on PostgreSQL under a name that nobody else uses. */
export interface PostgresWorld {
  readonly host: Host
  readonly stores: StoreDriver
  /** Which stores were opened, each as often as it was. */
  readonly opened: readonly string[]
}

/** Runs `work` over stores on PostgreSQL, and removes them afterwards, with their roles. */
export async function onPostgres(work: (world: PostgresWorld) => Promise<void>): Promise<void> {
  const host = createNodeHost()
  const [url, prefix] = [engineUrl('postgres'), `test-${randomBytes(6).toString('hex')}`]
  const stores = createPostgresStores({ url, system: prefix, host })
  const opened: string[] = []
  const keepAlive = setInterval(() => {}, 2 ** 30) // the driver's own timers do not
  try {
    await work({
      host,
      stores: {
        ...stores,
        open: (...args: Parameters<StoreDriver['open']>) => (opened.push(args[0]), stores.open(...args)),
      },
      opened,
    })
  } finally {
    for (const store of new Set(opened)) await stores.remove(store)
    await stores.close()
    const admin = openPool({ url, host, applicationName: 'tests', connectionsMax: 1 })
    for (const role of new Set(opened.map((store) => `${prefix}_${store.split('.')[0]!}`)))
      await admin.query(`DROP ROLE ${quoteIdentifier(role)}`)
    await admin.close()
    clearInterval(keepAlive)
  }
}

import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { createPostgresStores } from '@atoll/store/postgres'
import { storesOfWalk, walk } from './walk.ts'

describe('what is no text for a store, over PostgreSQL', () => {
  it('is refused as what its client did, wherever it is sent, and blocks nothing', async () => {
    const host = createNodeHost()
    const [url, prefix] = [engineUrl('postgres'), `test-${randomBytes(6).toString('hex')}`]
    const stores = createPostgresStores({ url, system: prefix, host })
    try {
      await walk(stores)
    } finally {
      for (const store of storesOfWalk) await stores.remove(store)
      await stores.close()
      const admin = openPool({ url, host, applicationName: 'tests', connectionsMax: 1 })
      for (const store of ['names', 'reading']) await admin.query(`DROP ROLE ${quoteIdentifier(`${prefix}_${store}`)}`)
      await admin.close()
    }
  })
})

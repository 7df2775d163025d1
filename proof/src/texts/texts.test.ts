import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { createSqliteStores } from '@atoll/store/sqlite'
import { walk } from './walk.ts'

describe('what is no text for a store, over SQLite', () => {
  it('is refused as what its client did, wherever it is sent, and blocks nothing', async () => {
    const stores = createSqliteStores({ folder: ':memory:', host: createNodeHost() })
    await walk(stores).finally(() => stores.close())
  })
})

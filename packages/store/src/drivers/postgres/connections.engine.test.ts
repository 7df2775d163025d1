import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import type { Pool } from '@atoll/postgres'
import type { StoreDriver } from '../../driver.ts'
import { counters, inPostgresWorld } from '../../../test/postgres-world.ts'

describe('what the examination says of connections', () => {
  it('is what the stores of a busy process take', () =>
    inPostgresWorld(async ({ system, admin, createDriver }) => {
      const driver = createDriver({ limits: { readersMax: 3 } })
      const stores = [
        await driver.open('orders', counters),
        await driver.open('totals', { '0001': 'CREATE TABLE totals (id TEXT PRIMARY KEY)' }),
      ]
      const both = driver.openReader(['orders', 'totals'])
      const told = await said(driver)
      stores[0]!.watch(() => {})
      const many = Array.from({ length: 20 })
      const asked = [
        ...many.map(() => driver.exists('orders')),
        ...[both, ...stores.map(({ reader }) => reader)].flatMap((reader) =>
          many.map(() => reader.get({ sql: 'SELECT 1 AS one' })),
        ),
      ]
      await Promise.all([
        ...asked,
        ...stores.map((store) => store.write(async (tx) => void (await tx.get({ sql: 'SELECT 1 AS one' })))),
      ])
      await until('the listener listens', async () => (await taken(admin, system)) >= 14)
      // two and the listener; a writer and three readers for each of two stores; three readers over both
      assert.equal(await taken(admin, system), 14)
      assert.equal(told, '2 stores in one process take up to 14, and as many again in every other one')
    }))

  it('is what they take while a projection is rebuilt, which has a store and a reader more than before and after', () =>
    inPostgresWorld(async ({ system, admin, createDriver }) => {
      const driver = createDriver({ expected: { stores: 2, readers: 1 } })
      const told = await said(driver)
      const pages = { '0001': 'CREATE TABLE pages (id TEXT PRIMARY KEY)' }
      const stores = [await driver.open('orders', counters), await driver.open('orders.pages.1', pages)]
      const readers = [driver.openReader(['orders', 'orders.pages.1'])]
      stores.push(await driver.open('orders.pages.2', pages))
      readers.push(driver.openReader(['orders', 'orders.pages.2']))
      stores[0]!.watch(() => {})
      const many = Array.from({ length: 20 })
      const asked = [
        ...many.map(() => driver.exists('orders')),
        ...[...readers, ...stores.map(({ reader }) => reader)].flatMap((reader) =>
          many.map(() => reader.get({ sql: 'SELECT 1 AS one' })),
        ),
      ]
      await Promise.all([
        ...asked,
        ...stores.map((store) => store.write(async (tx) => void (await tx.get({ sql: 'SELECT 1 AS one' })))),
      ])
      await until('the listener listens', async () => (await taken(admin, system)) >= 26)
      assert.equal(await taken(admin, system), 26)
      assert.equal(
        told,
        '2 stores in one process take up to 26, 9 of them while a projection is rebuilt, and as many again in every other one',
      )
    }))

  it('counts the stores that are to be opened, and says what each takes if that is not known', () =>
    inPostgresWorld(async ({ createDriver }) => {
      assert.equal(await said(createDriver()), 'each process takes up to 3, and 5 more for each store that it opens')
      assert.equal(
        await said(createDriver({ expected: { stores: 1, readers: 0 } })),
        '1 store in one process takes up to 8, and as many again in every other one',
      )
      assert.match(
        await said(createDriver({ expected: { stores: 1_000_000, readers: 1 } })),
        /^1000000 stores .* take up to 5000016, 9 of them while a projection is rebuilt, .*some will be refused: raise max_connections/,
      )
    }))
})

/** How many connections the server has of a system's stores. */
async function taken(admin: Pool, system: string): Promise<number> {
  return (
    await admin.query<{ count: number }>(
      'SELECT count(*) AS count FROM pg_stat_activity WHERE starts_with(application_name, $1)',
      [`atoll ${system} `],
    )
  ).rows[0]!.count
}

async function said(driver: StoreDriver): Promise<string> {
  const { findings } = await driver.examine()
  return findings.find(({ name }) => name === 'postgres.max_connections')!.message
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changedWrites, inWorld } from '../../../test/world.ts'
import { defaultOptions } from '../options.ts'
import { runtimeMigrations } from '../schema.ts'
import { Leases } from './leases.ts'

describe('a lease', () => {
  it('holds for its time from when it was written, however long that had to wait for its turn', () =>
    inWorld(async (world) => {
      const stores = changedWrites(world.stores, (store, work) => {
        world.host.jump(60_000) // others were before it
        return store.write(work)
      })
      const store = await stores.open('orders', runtimeMigrations)
      const leases = new Leases(store, 'orders', world.host, { ...defaultOptions, partitions: 1, leaseMs: 3_000 })
      await leases.look(new Map())
      const lease = await store.reader.get<{ expires_at: number }>({ sql: 'SELECT expires_at FROM atoll_leases' })
      assert.equal(lease!.expires_at, world.host.now() + 3_000)
    }))
})

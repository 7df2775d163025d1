import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop } from '../../test/shop.ts'
import { changedWrites, inWorld, type World } from '../../test/world.ts'
import { defaultOptions } from './options.ts'
import type { RunningSystem } from './running.ts'
import { runtimeMigrations } from './schema.ts'
import { Leases } from './leases.ts'
import type { ServiceRuntime } from './service/service-runtime.ts'

describe('a lease', () => {
  it('holds for its time from when it was written, however long that had to wait for its turn', () =>
    inWorld(async (world) => {
      const stores = changedWrites(world.stores, (store, work) => {
        world.host.jump(60_000) // others were before it
        return store.write(work)
      })
      const store = await stores.open('orders', runtimeMigrations)
      const leases = new Leases(
        store,
        'orders',
        world.host,
        { ...defaultOptions, partitions: 1, leaseMs: 3_000 },
        { countsEnds: true },
      )
      await leases.look(new Map())
      const lease = await store.reader.get<{ expires_at: number }>({ sql: 'SELECT expires_at FROM atoll_leases' })
      assert.equal(lease!.expires_at, world.host.now() + 3_000)
    }))

  it('is renewed before it runs out, however much waits to be written', () =>
    inWorld(async (world) => {
      const options = { partitions: 1, leaseMs: 3_000 }
      const { stores, fallBehind, catchUp } = createBacklog(world)
      const busy = await world.start(createShop(), { ...options, instance: 'busy' }, { stores })
      fallBehind()
      const idle = await world.start(createShop(), { ...options, instance: 'idle' })
      await world.host.advance(10_000)
      const partitions = [partitionsOf(busy), partitionsOf(idle)]
      catchUp()
      assert.deepEqual(partitions, [1, 0])
    }))

  it('is renewed in time also where much waits to be written while a partition is taken over', () =>
    inWorld(async (world) => {
      const options = { partitions: 2, leaseMs: 3_000 }
      const { stores, fallBehind, catchUp } = createBacklog(world)
      const busy = await world.start(createShop(), { ...options, instance: 'busy' }, { stores })
      const other = await world.start(createShop(), { ...options, instance: 'other' })
      await world.host.advance(10_000)
      fallBehind()
      await other.stop()
      await world.host.advance(10_000)
      const late = await world.start(createShop(), { ...options, instance: 'late' })
      const partitions = [partitionsOf(busy), partitionsOf(late)]
      catchUp()
      assert.deepEqual(partitions, [2, 0])
    }))

  it('that an owner left by its end is counted for a subscription, which is careful then, and not for a relay', () =>
    inWorld(async (world) => {
      const counted = async (name: string): Promise<unknown> =>
        (await world.stores.open(name, runtimeMigrations)).reader.all({
          sql: 'SELECT subscription, ends FROM atoll_ends',
        })
      const store = await world.stores.open('orders', runtimeMigrations)
      for (let nth = 0; nth < 3; nth++)
        await new Leases(store, 'orders', world.host, { ...defaultOptions, partitions: 1 }, { countsEnds: true }).look(
          new Map(),
        )
      assert.deepEqual(await counted('orders'), [{ subscription: 'orders', ends: 2 }])
      // under one name; those before it do nothing any more
      for (let nth = 0; nth < 3; nth++) await world.start(createShop(), { leaseMs: 60_000 })
      assert.deepEqual(await counted('book'), [])
    }))
})

function partitionsOf(instance: RunningSystem): number {
  // started as one
  return (instance.services.get('audit') as ServiceRuntime).subscriptions.get('audit')!.partitions.size
}

/** The stores of a world; once behind, they carry out what is urgent, and all else waits. */
function createBacklog(world: World) {
  const backlog = Promise.withResolvers<void>()
  let isBehind = false
  return {
    stores: changedWrites(world.stores, async (store, work, options) => {
      if (isBehind && !options?.urgent) await backlog.promise
      return store.write(work, options)
    }),
    fallBehind: () => void (isBehind = true),
    catchUp: () => backlog.resolve(),
  }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver } from '@atoll/store/driver'
import { z } from 'zod'
import { command, contract, event, query, service, system } from '../index.ts'
import { audit, book, createShop } from '../../test/shop.ts'
import { startSystem } from './start.ts'
import type { ServiceRuntime } from './service/service-runtime.ts'
import { call, changedReads, changedWrites, inWorld } from '../../test/world.ts'

const Empty = z.object({})
const asked = event('price.asked', { version: 1, key: () => 'k', data: Empty })
const prices = contract('prices', { price: query({ input: Empty, output: z.object({ cents: z.int() }) }) })
const shopping = contract('shopping', {
  events: [asked],
  ask: command({ input: Empty, output: z.void() }),
  buy: query({ input: Empty, output: z.object({ cents: z.int() }) }),
})

/**
 * One service that calls another, from an operation and from the handler of an event; both wait at `gate` before they
 * call.
 */
function createMarket(gate: () => Promise<void>, paid: number[]) {
  const pricing = service(prices, { handlers: { price: () => ({ cents: 5 }) } })
  const buying = service(shopping, {
    handlers: {
      ask: async ({ tx }) => {
        await tx(({ emit }) => emit(asked, {}))
      },
      buy: async ({ call }) => {
        await gate()
        return call(prices.price, {})
      },
    },
    subscribe: ({ on }) => [
      on(asked, async ({ call }) => {
        await gate()
        paid.push((await call(prices.price, {})).cents)
      }),
    ],
  })
  return system('market', { services: [pricing, buying] })
}

describe('a system that stops', () => {
  it('lets what is under way call whom it needs, and refuses what comes new', () =>
    inWorld(async (world) => {
      let open = (): void => {}
      const gate = new Promise<void>((resolve) => (open = resolve))
      const paid: number[] = []
      const market = await world.start(createMarket(() => gate, paid))
      const buying = call(market, shopping.buy, {})
      await call(market, shopping.ask, {})
      await world.host.advance(10)
      const stopping = market.stop()
      await assert.rejects(call(market, shopping.buy, {}), { code: 'UNAVAILABLE' })
      open()
      assert.deepEqual(await buying, { cents: 5 })
      await stopping
      assert.deepEqual(paid, [5])
      assert.deepEqual(
        world.logged.filter((line) => line.level !== 'info'),
        [],
      )
    }))

  it('does not wait beyond its time for what hangs', () =>
    inWorld(async (world) => {
      const market = await world.start(createMarket(() => new Promise(() => {}), []))
      void call(market, shopping.buy, {}).catch(() => undefined)
      await call(market, shopping.ask, {})
      await world.host.advance(10)
      const stopping = market.stop({ drainMs: 1_000 })
      await world.host.advance(1_100)
      await stopping
      assert.equal(world.logged.filter((line) => line.message.includes('time to drain ran out')).length, 2)
    }))
})

describe('an instance that has no lease, and stops while the log does not answer', () => {
  for (const [asker, silent] of [
    ['relay', 'audit'],
    ['subscription', 'book'],
  ]) {
    it(`does not wait for the answer to a ${asker}, and takes nothing when it comes`, () =>
      inWorld(async (world) => {
        const owner = await world.start(createShop(), { instance: 'a', partitions: 1 })
        const unanswered: (() => void)[] = []
        let isSilent = false
        const log: Log = {
          ...world.log,
          async tail(source, partition) {
            if (isSilent && source === silent) await new Promise<void>((resolve) => unanswered.push(resolve))
            return world.log.tail(source, partition)
          },
        }
        const idle = await world.start(createShop(), { instance: 'b', partitions: 1 }, { log })
        isSilent = true
        // the relay of its source asks the same
        while (unanswered.length < (silent === 'book' ? 2 : 1)) await world.host.advance(100)
        await owner.stop()
        const stopping = idle.stop({ drainMs: 60_000 }).then(() => 'stopped')
        await world.host.advance(100)
        const became = await Promise.race([stopping, Promise.resolve('it waits')])
        isSilent = false
        for (const answer of unanswered) answer()
        assert.equal(became, 'stopped')
        const heir = await world.start(createShop(), { instance: 'c', partitions: 1 })
        await call(heir, book.note, { account: 'ann', cents: 5 })
        await world.host.advance(100)
        assert.deepEqual(await call(heir, audit.total, { account: 'ann' }), { cents: [5] })
        assert.deepEqual(
          world.logged.filter((line) => line.level !== 'info'),
          [],
        )
      }))
  }
})

describe('a system one of whose services cannot end', () => {
  it('takes every step for every service all the same, and then says what failed first', () =>
    inWorld(async (world) => {
      let watched = 0
      const closed: string[] = []
      const log: Log = {
        ...world.log,
        watch(source, listener) {
          const unwatch = world.log.watch(source, listener)
          const isFirst = watched++ === 0
          return () => {
            unwatch()
            if (isFirst) throw new Error('the first failure')
          }
        },
      }
      const stores: StoreDriver = {
        ...world.stores,
        async open(name, migrations) {
          const store = await world.stores.open(name, migrations)
          return {
            ...store,
            async close() {
              await store.close()
              closed.push(name)
              if (name === 'audit.sums.1') throw new Error('a later failure')
            },
          }
        },
        openReader(names) {
          const reader = world.stores.openReader(names)
          const close = reader.close.bind(reader)
          reader.close = () => close().then(() => Promise.reject(new Error('a failure between them')))
          return reader
        },
      }
      // which its world does not stop again
      const shop = await startSystem(createShop(), { host: world.host, logger: silentLogger, log, stores })
      await assert.rejects(shop.stop({ drainMs: 100 }), { message: 'the first failure' })
      assert.deepEqual(
        [...shop.services.values()].map(({ state }) => state),
        ['stopped', 'stopped'],
      )
      assert.deepEqual(closed.sort(), ['audit', 'audit.sums.1', 'book'])
    }))
})

describe('a subscription that runs', () => {
  it('is not started a second time', () =>
    inWorld(async (world) => {
      let watching = 0
      const log: Log = { ...world.log, watch: (source, listener) => (watching++, world.log.watch(source, listener)) }
      const shop = await world.start(createShop(), {}, { log })
      const { subscriptions } = shop.services.get('audit') as ServiceRuntime // started as one
      const before = watching
      const again = subscriptions.get('audit')!.start()
      await world.host.advance(10_000)
      await again
      assert.deepEqual([before, watching], [2, 2])
    }))
})

describe('a system whose start fails half-way', () => {
  it('leaves nothing running', () =>
    inWorld(async (world) => {
      let writes = 0
      let failing = true
      const counted = changedWrites(world.stores, (store, work) => {
        if (store.name === 'audit') writes++
        return store.write(work)
      })
      const stores = changedReads(counted, async (statement) => {
        if (failing && statement.sql.includes('count(*) AS count FROM atoll_held'))
          throw new AtollError('UNAVAILABLE', 'no answer')
      })
      await assert.rejects(world.start(createShop(), {}, { stores }), { code: 'UNAVAILABLE' })
      const before = writes
      await world.host.advance(600_000)
      assert.equal(writes, before, 'its subscriptions went on')
      failing = false
      const second = await world.start(createShop(), {}, { stores })
      await call(second, book.note, { account: 'a', cents: 1 })
      await second.quiet()
      assert.deepEqual(await call(second, audit.total, { account: 'a' }), { cents: [1] })
    }))
})

describe('a service that stops and starts while the log hangs', () => {
  it('begins to handle once when the log answers, and leaves nothing running', () =>
    inWorld(async (world) => {
      const hanging = Promise.withResolvers<void>()
      const asked: string[] = []
      let watching = 0
      const log: Log = {
        ...world.log,
        tail: async (source, partition) => (
          asked.push(source),
          await hanging.promise,
          world.log.tail(source, partition)
        ),
        watch(source, listener) {
          watching++
          const unwatch = world.log.watch(source, listener)
          return () => (watching--, unwatch())
        },
      }
      const shop = await after(10_000, world.start(createShop(), { leaseMs: 3_000 }, { log }))
      const auditor = shop.services.get('audit')!
      const looks = asked.length
      await after(10_000, auditor.stop({ drainMs: 100 }))
      await after(10_000, auditor.start())
      const more = asked.length - looks
      hanging.resolve()
      await after(10_000, Promise.resolve())
      assert.deepEqual([shop.readiness().ready, watching], [true, 2], 'the auditor and its sums')
      await after(10_000, shop.stop())
      assert.deepEqual([watching, more], [0, 0], 'it did not look at the log beside the look that hung')

      async function after<T>(ms: number, work: Promise<T>): Promise<T> {
        await world.host.advance(ms)
        return work
      }
    }))

  it('numbers on from what it had emitted, if the log answers while it is stopped', () =>
    inWorld(async (world) => {
      const first = await world.start(createShop())
      await call(first, book.note, { account: 'a', cents: 1 })
      await first.quiet()
      await first.stop()
      const hanging = Promise.withResolvers<void>()
      const log: Log = {
        ...world.log,
        tail: async (source, partition) => (await hanging.promise, world.log.tail(source, partition)),
      }
      const starting = world.start(createShop(), { leaseMs: 3_000 }, { log })
      await world.host.advance(10_000)
      const shop = await starting
      const books = shop.services.get('book')!
      const stopping = books.stop({ drainMs: 100 })
      await world.host.advance(10_000)
      await stopping
      hanging.resolve()
      await world.host.advance(100)
      await books.start()
      await world.host.advance(10_000)
      await call(shop, book.note, { account: 'a', cents: 2 })
      await world.host.advance(10_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1, 2] })
      assert.deepEqual(shop.readiness().reasons, [])
    }))
})

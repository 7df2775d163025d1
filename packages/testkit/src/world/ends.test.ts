import assert from 'node:assert/strict'
import process, { exit } from 'node:process'
import { describe, it } from 'node:test'
import { createShop, desk, mail, placed, stock } from '../../test/shop.ts'
import type { Phase } from './passage.ts'
import { world } from './world.ts'

/** Each ends a process; what it leaves behind in the log. */
const ends: readonly (readonly [what: string, says: RegExp, end: () => unknown])[] = [
  ['process.exit', /called process\.exit\(\)/, () => process.exit(3)],
  ['exit of node:process', /called process\.exit\(\)/, () => exit()],
  ['process.abort', /called process\.abort\(\)/, () => process.abort()],
  ['a signal to itself', /called process\.kill\(\)/, () => process.kill(process.pid, 'SIGKILL')],
  [
    'a rejection that nobody awaits',
    /nobody awaits it/,
    async () => {
      void Promise.reject(new Error('stray'))
      await new Promise(() => {})
    },
  ],
  [
    'a rejection of nothing',
    /nobody awaits it/,
    async () => {
      void Promise.reject(undefined)
      await new Promise(() => {})
    },
  ],
  [
    'an error that nobody catches',
    /nobody catches it/,
    async () => {
      queueMicrotask(() => {
        throw new Error('stray')
      })
      await new Promise(() => {})
    },
  ],
]

describe('a handler that ends its process', () => {
  for (const [what, says, end] of ends) {
    it(`by ${what} ends its instance alone, which is started again`, async () => {
      let met = 0
      await using shop = await world(
        createShop({
          packing: () => {
            if (++met === 1) return end()
          },
        }),
      )
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.quiet()
      assert.equal(met, 2)
      assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
      assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'])
      assert.deepEqual(shop.instances('stock'), ['stock-1'])
      assert.ok(shop.clock.elapsedMs >= 1_000, 'a while later')
      const said = shop.logged.filter(({ message }) => says.test(message))
      assert.deepEqual(
        said.map(({ level, fields }) => [level, fields['instance']]),
        [['error', 'stock-1']],
      )
      assert.deepEqual(
        shop.ended.map(({ instance }) => instance),
        ['stock-1'],
      )
      await shop.assertConserved()
    })
  }

  it('leaves nothing of what it had not committed, however it goes on', async () => {
    let met = 0
    const packing = async (): Promise<void> => {
      if (++met > 1) return
      try {
        process.exit(1)
      } catch {
        // whoever catches everything goes on, in a process that is no more
      }
    }
    await using shop = await world(createShop({ packing }))
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.clock.advance('500ms')
    await assert.rejects(shop.call(stock.boxes, {}, { as: 'bob' }), { code: 'UNAVAILABLE' })
    assert.deepEqual(await shop.db<{ boxes: { id: string } }>('stock').selectFrom('boxes').selectAll().execute(), [])
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })

  it('of a projection, or of a query, is no other', async () => {
    let counts = 0
    let asks = 0
    const once = (isFirst: boolean): void => {
      if (isFirst) process.exit()
    }
    await using shop = await world(
      createShop({ counting: () => once(++counts === 1), asked: () => once(++asks === 1) }),
      { restartMs: 5_000 },
    )
    await assert.rejects(shop.call(desk.now, {}), { code: 'UNAVAILABLE', message: /desk-1 is gone/ })
    await assert.rejects(shop.call(desk.now, {}), { code: 'UNAVAILABLE', message: /no instance of desk is up/ })
    await shop.clock.advance('5s')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1 })
    assert.ok(
      (await shop.call(desk.now, {})).at >= shop.clock.now() - shop.clock.elapsedMs + 10_000,
      'both came back when their time was over',
    )
  })

  it('stays down when somebody has taken its service in hand', async () => {
    for (const act of ['stop', 'crash', 'powerLoss'] as const) {
      await using shop = await world(createShop({ packing: () => process.exit() }))
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.clock.advance('500ms')
      if (act === 'powerLoss') shop.powerLoss()
      else await shop[act]('stock')
      await shop.clock.advance('1m')
      assert.deepEqual(shop.instances('stock'), [], act)
    }
  })

  it('is not quiet before it is back', async () => {
    await using shop = await world(createShop({ packing: () => process.exit() }), { restartMs: 3_600_000 })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await assert.rejects(shop.quiet(), { code: 'NOT_QUIET', message: /stock-1 has ended and is to be started again/ })
  })
})

describe('an instance that is killed in the midst of a handling', () => {
  it('comes back after the time that the test says, and has its effect once', async () => {
    for (const service of ['stock', 'mail']) {
      for (const crash of ['before', 'during', 'after'] satisfies Phase[]) {
        await using shop = await world(createShop())
        await shop.clock.advance('1m')
        shop.inject(service, 'handle', { crash, restartMs: 30_000 })
        const beganMs = shop.clock.elapsedMs
        await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
        await shop.quiet()
        assert.ok(shop.clock.elapsedMs - beganMs >= 30_000, `${service} was away`)
        assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
        assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'])
        assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1 })
        await shop.assertConserved()
      }
    }
  })

  it('has nothing to show for it if that is before its commit, and all of it afterwards', async () => {
    for (const [crash, kept] of [
      ['before', 0],
      ['during', 0],
      ['after', 1],
    ] as const) {
      await using shop = await world(createShop())
      shop.inject('stock', 'handle', { crash })
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.clock.advance('1s')
      const [event] = await shop.events(placed)
      assert.equal(
        (await shop.db<{ boxes: { id: string } }>('stock').selectFrom('boxes').selectAll().execute()).length,
        kept,
        crash,
      )
      const effect = (await shop.flow(event!.id)).effects.find(({ subscription }) => subscription === 'stock')
      assert.equal(effect?.outcome === 'handled', kept === 1, crash)
    }
  })
})

describe('outside of a world’s processes', () => {
  it('what is stray reaches the test, and not the world', async () => {
    await using shop = await world(createShop())
    const others = process.listeners('unhandledRejection') // the test runner's, which would fail this test
    process.removeAllListeners('unhandledRejection')
    try {
      const stray = new Promise((resolve) => process.once('unhandledRejection', resolve))
      void Promise.reject(new Error('of the test'))
      assert.match(String(await stray), /of the test/)
    } finally {
      for (const listener of others) process.on('unhandledRejection', listener)
    }
    assert.deepEqual(shop.instances('stock'), ['stock-1'])
    assert.deepEqual(
      shop.logged.filter(({ level }) => level === 'error'),
      [],
    )
  })
})

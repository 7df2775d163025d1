import assert from 'node:assert/strict'
import process from 'node:process'
import { describe, it } from 'node:test'
import { createShop, desk, mail, stock } from '../../test/shop.ts'
import { createRandom } from '../random.ts'
import { world, type World } from './world.ts'

const orders = Array.from({ length: 12 }, (_, index) => `o${index}`)

async function place(shop: World, ids: readonly string[] = orders, sku = 'lamp'): Promise<void> {
  for (const id of ids) await shop.call(desk.place, { id, sku })
}

/** What came of the orders but for those that ended a process. */
async function assertOthersOnce(shop: World, bad: readonly string[]): Promise<void> {
  const good = orders.filter((id) => !bad.includes(id))
  assert.deepEqual((await shop.call(stock.boxes, {})).sort(), good.toSorted())
  assert.equal((await shop.call(mail.letters, {})).length, good.length)
  await shop.assertConserved()
}

describe('an event whose handler ends its process', () => {
  for (const attemptsMax of [1, 3]) {
    it(`uses up a try each time, ${attemptsMax} in all, and is a dead letter like others; the others are handled once`, async () => {
      await using shop = await world(
        createShop({
          packing: ({ data }) => {
            if (data.id === 'o5') process.exit()
          },
        }),
        { runtime: { attemptsMax } },
      )
      await place(shop)
      await shop.quiet()
      const [letter, ...more] = await shop.deadLetters()
      assert.deepEqual(
        [letter!.event.key, letter!.error.code, letter!.attempts, more.length],
        ['o5', 'PROCESS_ENDED', attemptsMax, 0],
      )
      assert.equal(shop.ended.length, attemptsMax + 2, 'two ends are needed to see that an event is to blame')
      await assertOthersOnce(shop, ['o5'])
      assert.equal(
        shop.logged.filter(({ level, message }) => level === 'error' && /is a dead letter of stock/.test(message))
          .length,
        1,
      )
    })
  }

  it('is one of many: each is found, in services and projections side by side, and in one partition', async () => {
    for (const partitions of [1, 4]) {
      const bad = ['o0', 'o4', 'o5', 'o11']
      await using shop = await world(
        createShop({
          packing: ({ data }) => {
            if (bad.includes(data.id)) process.exit()
          },
          counting: ({ data }) => {
            if (data.sku === 'lead') process.exit()
          },
        }),
        { runtime: { attemptsMax: 2, partitions } },
      )
      await place(shop)
      await place(shop, ['p1', 'p2'], 'lead')
      await shop.quiet()
      const letters = await shop.deadLetters()
      assert.deepEqual(
        letters.map(({ subscription, event }) => `${subscription} ${event.key}`).sort(),
        ['mail.counts p1', 'mail.counts p2', ...bad.map((id) => `stock ${id}`)].sort(),
      )
      assert.ok(letters.every(({ error, attempts }) => error.code === 'PROCESS_ENDED' && attempts === 2))
      assert.deepEqual(await shop.call(mail.counts, {}), { lamp: orders.length })
      await shop.assertConserved()
    }
  })

  it('may have failed in other ways before, and be redriven: the try is found there, too', async () => {
    let tries = 0
    let isMended = false
    await using shop = await world(
      createShop({
        packing: ({ data }) => {
          if (data.id !== 'o5' || isMended) return
          if (++tries === 1) throw new Error('no tape')
          process.exit()
        },
      }),
      { runtime: { attemptsMax: 3 } },
    )
    await place(shop)
    await shop.quiet()
    const [letter] = await shop.deadLetters()
    assert.deepEqual([letter!.error.code, letter!.attempts], ['PROCESS_ENDED', 3])
    await place(shop, ['o5']) // behind it
    const ends = shop.ended.length
    for (const careful of [{}, { dryRun: true }, { dryRun: true, id: letter!.id }]) {
      assert.deepEqual(
        (await shop.redrive(careful)).map(({ outcome }) => outcome),
        ['waiting'],
        'what would end the process is tried only by name, and not dry',
      )
    }
    assert.equal(shop.ended.length, ends)
    await shop.redrive({ id: letter!.id }).catch(() => undefined) // the process that was asked is gone
    await shop.quiet()
    const [again] = await shop.deadLetters()
    assert.deepEqual([again!.error.code, again!.attempts, again!.parkedBehind], ['PROCESS_ENDED', 4, 1])
    isMended = true
    assert.deepEqual(
      (await shop.redrive({ id: letter!.id })).map(({ outcome }) => outcome),
      ['handled', 'handled'],
    )
    assert.deepEqual((await shop.call(stock.boxes, {})).sort(), [...orders, 'o5'].sort())
    await shop.assertConserved()
  })
})

describe('an innocent event', () => {
  it('does not lose a try, nor wait for others, when its process was killed once', async () => {
    let [underWay, most] = [0, 0]
    const shop: World = await world(
      createShop({
        packing: async () => {
          most = Math.max(most, ++underWay)
          await new Promise<void>((resolve) => shop.surroundings.after(50, resolve))
          underWay--
        },
      }),
      { runtime: { partitions: 1 } },
    )
    shop.crash('stock')
    await place(shop)
    await shop.restart('stock')
    await shop.quiet()
    assert.ok(most > 1, 'its events were handled one at a time')
    await assertOthersOnce(shop, [])
    await shop.close()
  })

  it('is no dead letter, however often its process is killed', async () => {
    for (const seed of [1, 2]) {
      const random = createRandom(seed)
      const shop: World = await world(
        createShop({ packing: () => new Promise<void>((resolve) => shop.surroundings.after(random.int(20), resolve)) }),
        { seed },
      )
      for (let kill = 0; kill < 50; kill++) {
        if (kill < orders.length) await place(shop, [orders[kill]!])
        await shop.clock.advance(`${random.int(60)}ms`)
        for (const service of ['stock', 'mail']) {
          shop.crash(service)
          await shop.restart(service)
        }
      }
      await shop.quiet()
      assert.deepEqual(await shop.deadLetters(), [])
      await assertOthersOnce(shop, [])
      await shop.close()
    }
  })
})

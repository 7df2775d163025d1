import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs'
import { promises as fs } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hrtime } from 'node:process'
import { describe, it } from 'node:test'
import { createShop, desk } from '../../test/shop.ts'
import { world, type World } from './world.ts'

const here = new URL(import.meta.url)

/** What is refused in a world, how it is named, and what the message says to use instead. */
const refused: readonly (readonly [name: string, instead: string, use: () => unknown])[] = [
  ['Date.now()', 'now() of', () => Date.now()],
  ['new Date()', 'now() of', () => new Date()],
  ['Date()', 'now() of', () => Date()],
  ['performance.now()', 'now() of', () => performance.now()],
  ['hrtime() of node:process', 'now() of', () => hrtime()],
  ['bigint() of node:process.hrtime', 'now() of', () => hrtime.bigint()],
  ['Math.random()', 'newId() of', () => Math.random()],
  ['crypto.randomUUID()', 'newId() of', () => crypto.randomUUID()],
  ['randomUUID() of node:crypto', 'newId() of', () => randomUUID()],
  ['randomBytes() of node:crypto', 'newId() of', () => randomBytes(4)],
  ['randomInt() of node:crypto', 'newId() of', () => randomInt(4)],
  ['crypto.getRandomValues()', 'newId() of', () => crypto.getRandomValues(new Uint8Array(4))],
  [
    'crypto.subtle.digest()',
    'node:crypto has synchronous functions',
    () => crypto.subtle.digest('SHA-256', new Uint8Array(4)),
  ],
  ['setTimeout()', 'tx.schedule', () => setTimeout(() => {}, 0)],
  ['setInterval()', 'tx.schedule', () => clearInterval(setInterval(() => {}, 1_000_000))],
  ['setImmediate()', 'tx.schedule', () => setImmediate(() => {})],
  ['setTimeout() of node:timers/promises', 'tx.schedule', () => sleep(0)],
  ['fetch()', 'before the world begins', () => fetch('data:,hello')],
  ['readFile() of node:fs/promises', 'before the world begins', () => fs.readFile(here)],
  ['readFile() of node:fs', 'before the world begins', () => readFile(here, () => {})],
  ['AbortSignal.timeout()', 'signal of', () => AbortSignal.timeout(1)],
]

describe('a handler in a world', () => {
  for (const [name, instead, use] of refused) {
    it(`may not use ${name}, and is told what to use instead`, async () => {
      await using shop = await world(createShop({ asked: use }))
      await assert.rejects(shop.call(desk.now, {}), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'NONDETERMINISTIC', error.message)
        assert.ok(error.message.includes(` used ${name} `), error.message)
        assert.match(error.message, /desk-\d+ used/)
        assert.ok(error.message.includes(instead), error.message)
        return true
      })
    })
  }

  it('may not either where it goes on after waiting', async () => {
    await using shop = await world(
      createShop({
        asked: async () => {
          await Promise.resolve()
          return Date.now()
        },
      }),
    )
    await assert.rejects(shop.call(desk.now, {}), { code: 'NONDETERMINISTIC' })
  })

  it('may do what is the same in every run', async () => {
    await using shop = await world(
      createShop({
        asked: async () => {
          assert.equal(new Date(5).getTime(), 5)
          assert.ok(new Date(5) instanceof Date)
          assert.equal(Date.UTC(1970, 0), 0)
          assert.equal(Date.parse('1970-01-01'), 0)
          assert.equal(createHash('sha256').update('').digest('hex').slice(0, 4), 'e3b0')
          await new Promise<void>((resolve) => queueMicrotask(resolve))
          await new Promise<void>((resolve) => process.nextTick(resolve))
        },
      }),
    )
    assert.equal((await shop.call(desk.now, {})).by, 'desk')
  })
})

describe('a test', () => {
  const useAll = async (): Promise<void> => {
    for (const [, , use] of refused) await use()
  }

  it('may use all of it, while worlds run and after they are closed', async () => {
    const real = Date
    const outer = await world(createShop())
    const inner = await world(createShop())
    await useAll()
    await outer.close()
    await outer.close()
    await useAll()
    await assertGuarded(inner)
    await inner.close()
    await useAll()
    assert.equal(Date, real)
    assert.ok(new Date().getTime() > EPOCH_OF_THIS_TEST)
  })

  it('finds everything as it was when a world could not begin', async () => {
    const real = Date
    const broken = createShop()
    const services = broken.services.map((service) => ({
      ...service,
      store: { ...service.store!, migrations: { '0001-broken': 'CREATE NONSENSE' } },
    }))
    await assert.rejects(world({ ...broken, services }), { code: 'MIGRATION_FAILED' })
    assert.equal(Date, real)
  })
})

/** The wall clock of no machine is before this. */
const EPOCH_OF_THIS_TEST = 1_700_000_000_000

async function assertGuarded(shop: World): Promise<void> {
  const asked = await shop.call(desk.now, {})
  assert.equal(asked.at, shop.clock.now(), 'virtual time')
  assert.notEqual(Date.now(), asked.at)
}

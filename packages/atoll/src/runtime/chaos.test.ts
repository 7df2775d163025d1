import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import { createRandom } from '@atoll/testkit'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedWrites, inWorld, type World } from '../../test/world.ts'
import type { RunningSystem } from './running.ts'

// Chance decides what fails and when; the accounts are held against the books afterwards. A seed that fails is replayed
// by its number.

const SEEDS = 40
const STEPS = 40
const ACCOUNTS = ['ann', 'ben', 'cid', 'dan']

describe('a system on a run of bad days', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`has each acknowledged event's effect once and in order, whatever failed on the way (seed ${seed})`, () =>
      inWorld((world) => badDays(world, seed)))
  }
})

async function badDays(world: World, seed: number): Promise<void> {
  const random = createRandom(seed)
  const happens = (chance: number): boolean => bad && random.next() < chance
  let bad = true

  const stores = changedWrites(world.stores, async (store, work) => {
    if (happens(0.05)) throw new AtollError('STORE_FULL', 'there is no room')
    if (happens(0.05)) throw new AtollError('UNAVAILABLE', 'the store is away')
    return store.write(async (tx) => {
      const result = await work(tx)
      if (happens(0.05)) throw new AtollError('STORE_FULL', 'there is no room any more')
      return result
    })
  })
  const log: Log = Object.assign(Object.create(world.log), {
    capabilities: world.log.capabilities,
    async append(...args: Parameters<Log['append']>) {
      if (happens(0.1)) throw new AtollError('UNAVAILABLE', 'the log is away')
      await world.log.append(...args)
      if (happens(0.1)) throw new AtollError('UNAVAILABLE', 'the answer was lost')
    },
    read: (...args: Parameters<Log['read']>) =>
      happens(0.05) ? Promise.reject(new AtollError('UNAVAILABLE', 'the log cannot be read')) : world.log.read(...args),
  })
  const shop = createShop(async () => {
    if (happens(0.1)) await new Promise<void>((resolve) => world.host.after(random.next() * 50, resolve))
    if (happens(0.2)) throw happens(0.3) ? new AtollError('UNAVAILABLE', 'what it calls is down') : new Error('not now')
  })
  const begin = async (instance = 'main'): Promise<RunningSystem> => {
    for (;;) {
      try {
        return await passing(
          world,
          world.start(
            shop,
            { instance, partitions: 2, attemptsMax: 3, retryDelayMs: 50, leaseMs: 3_000 },
            { stores, log },
          ),
        )
      } catch (error) {
        assert.ok(error instanceof AtollError && ['STORE_FULL', 'UNAVAILABLE'].includes(error.code), String(error))
      }
    }
  }

  const tried = new Map<string, number[]>(ACCOUNTS.map((account) => [account, []]))
  const acknowledged = new Map<string, number[]>(ACCOUNTS.map((account) => [account, []]))
  let running = await begin()
  let second: RunningSystem | undefined
  for (let step = 1; step <= STEPS; step++) {
    const dice = random.next()
    const account = random.pick(ACCOUNTS)
    // which is none of the auditor's concern
    if (dice < 0.1) await call(running, book.close, { account }).catch(() => undefined)
    else if (dice < 0.6) {
      tried.get(account)!.push(step)
      await call(running, book.note, { account, cents: step }).then(
        () => acknowledged.get(account)!.push(step),
        () => undefined, // refused, or nobody knows: at most once
      )
    } else if (dice < 0.85) await world.host.advance(random.next() * 400)
    else if (dice < 0.9) {
      const redriven = Array.fromAsync(running.admin.redrive({})).catch(() => undefined)
      await world.host.advance(100) // its handlers may take their time
      await redriven
    } else if (dice < 0.95 && second) {
      await passing(world, second.stop({ drainMs: 0 })).catch(() => undefined)
      second = undefined
    } else if (dice < 0.95) {
      second = await begin('second')
      await world.host.advance(random.next() * 2_000) // in which the first hands over
    } else {
      // it may fail, and what it left behind must do
      await passing(world, running.stop({ drainMs: 0 })).catch(() => undefined)
      running = await begin()
    }
  }

  bad = false
  if (second) await passing(world, second.stop({ drainMs: 0 })).catch(() => undefined)
  if (random.next() < 0.5) {
    await passing(world, running.stop({ drainMs: 0 })).catch(() => undefined)
    running = await begin()
  }
  const last = running // half of the time, the one that has been through it all
  await world.host.advance(200_000)
  await Array.fromAsync(last.admin.redrive({}))
  await last.quiet()
  const ledger = await last.admin.ledger()
  assert.ok(
    ledger.every((row) => row.balanced && row.handled === row.published),
    JSON.stringify(ledger, null, 1),
  )
  for (const account of ACCOUNTS) {
    const { cents } = await call(last, audit.total, { account })
    assert.deepEqual(
      cents,
      cents.toSorted((a, b) => a - b),
      `${account} out of order`,
    )
    assert.equal(new Set(cents).size, cents.length, `${account} twice`)
    for (const step of acknowledged.get(account)!) assert.ok(cents.includes(step), `${account} lost ${step}`)
    for (const step of cents) assert.ok(tried.get(account)!.includes(step))
    assert.equal(
      (await call(last, audit.sums, { account })).cents,
      cents.reduce((sum, amount) => sum + amount, 0),
      `${account} sums`,
    )
  }
}

/**
 * Lets time pass for as long as something takes: what starts or stops waits for what fails to be tried again, and
 * nothing else moves the clocks.
 */
async function passing<T>(world: World, work: Promise<T>): Promise<T> {
  let isOver = false
  const end = (): void => void (isOver = true)
  work.then(end, end)
  for (await world.host.advance(0); !isOver;) await world.host.advance(50)
  return work
}

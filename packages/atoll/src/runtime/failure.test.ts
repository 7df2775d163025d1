import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { Transaction } from '@atoll/store/driver'
import { command, contract, event, projection, service, system, type System } from '../index.ts'
import { audit, book, createShop, noted } from '../../test/shop.ts'
import { call, changedWrites, inWorld } from '../../test/world.ts'

describe('an event whose handler fails', () => {
  it('holds back its own key alone, is tried again with growing delays, and then handled in order', () =>
    inWorld(async (world) => {
      let failing = true
      const triedAt: number[] = []
      const shop = await world.start(
        createShop(({ account, cents }) => {
          if (account !== 'bad' || cents !== 1) return
          triedAt.push(world.host.monotonicMs())
          if (failing) throw new Error('not now')
        }),
        { retryDelayMs: 100, attemptsMax: 5 },
      )
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'bad', cents })
      await call(shop, book.note, { account: 'good', cents: 7 })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'good' }), { cents: [7] })
      assert.deepEqual(await call(shop, audit.total, { account: 'bad' }), { cents: [] })
      await world.host.advance(400)
      failing = false
      await world.host.advance(1_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'bad' }), { cents: [1, 2, 3] })
      const delays = triedAt.slice(1).map((at, index) => at - triedAt[index]!)
      assert.ok(
        delays.every((delay, index) => delay >= 100 * 2 ** index && delay <= 130 * 2 ** index),
        `delays were ${delays}`,
      )
    }))

  it('becomes a dead letter with its error, and later events of its key are parked behind it', () =>
    inWorld(async (world) => {
      const shop = await world.start(
        createShop(({ account }) => {
          if (account === 'bad') throw new TypeError('cents are not round')
        }),
        { attemptsMax: 3 },
      )
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'bad', cents })
      await shop.quiet()
      await world.host.advance(10_000)
      const [letter, ...more] = await shop.admin.deadLetters()
      assert.equal(more.length, 0)
      assert.equal(letter!.attempts, 3)
      assert.equal(letter!.error.message, 'cents are not round')
      assert.match(letter!.error.stack, /TypeError/)
      assert.equal(letter!.parkedBehind, 2)
      assert.equal(letter!.event.data, '{"account":"bad","cents":1}')
      const row = (await shop.admin.ledger()).find((row) => row.subscription === 'audit')!
      assert.deepEqual(
        [row.published, row.handled, row.pending, row.parked, row.dead, row.balanced],
        [3, 0, 0, 2, 1, true],
      )
    }))

  it('is handled in order with those behind it, once, by a redrive after the fix', () =>
    inWorld(async (world) => {
      let failing = true
      const shop = await world.start(
        createShop(({ account }) => {
          if (failing && account === 'bad') throw new Error('broken')
        }),
        { attemptsMax: 1 },
      )
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'bad', cents })
      await shop.quiet()
      const failed = await Array.fromAsync(shop.admin.redrive({}))
      assert.deepEqual(
        failed.map((row) => row.outcome),
        ['failed', 'waiting', 'waiting'],
      )
      failing = false
      const dry = await Array.fromAsync(shop.admin.redrive({ dryRun: true }))
      assert.deepEqual(
        dry.map((row) => row.outcome),
        ['handled', 'handled', 'handled'],
      )
      assert.deepEqual(await call(shop, audit.total, { account: 'bad' }), { cents: [] }, 'a dry run changes nothing')
      const redriven = await Array.fromAsync(shop.admin.redrive({}))
      assert.deepEqual(
        redriven.map((row) => row.outcome),
        ['handled', 'handled', 'handled'],
      )
      await call(shop, book.note, { account: 'bad', cents: 4 })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'bad' }), { cents: [1, 2, 3, 4] })
      assert.deepEqual(await shop.admin.deadLetters(), [])
      assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.handled === 4))
    }))

  it('holds back its own key alone in a projection too, and the batch around it is applied', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(), { attemptsMax: 1 })
      await shop.services.get('audit')!.stop()
      for (let cents = 1; cents <= 10; cents++) {
        for (const account of ['a', 'unsummable', 'b']) await call(shop, book.note, { account, cents })
      }
      await shop.services.get('audit')!.start()
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.sums, { account: 'a' }), { cents: 55 })
      assert.deepEqual(await call(shop, audit.sums, { account: 'b' }), { cents: 55 })
      const [letter] = await shop.admin.deadLetters({ subscription: 'audit.sums' })
      assert.equal(letter!.parkedBehind, 9)
      const row = (await shop.admin.ledger()).find((row) => row.subscription === 'audit.sums')!
      assert.deepEqual([row.published, row.handled, row.parked, row.dead, row.balanced], [30, 20, 9, 1, true])
    }))

  it('stays a dead letter when everything restarts', () =>
    inWorld(async (world) => {
      const first = await world.start(
        createShop(() => {
          throw new Error('broken')
        }),
        { attemptsMax: 1 },
      )
      for (const cents of [1, 2]) await call(first, book.note, { account: 'a', cents })
      await first.quiet()
      await first.stop()
      const second = await world.start(createShop(), { attemptsMax: 1 })
      await call(second, book.note, { account: 'a', cents: 3 })
      await second.quiet()
      assert.equal((await second.admin.deadLetters())[0]!.parkedBehind, 2)
      await Array.fromAsync(second.admin.redrive({ subscription: 'audit' }))
      assert.deepEqual(await call(second, audit.total, { account: 'a' }), { cents: [1, 2, 3] })
    }))

  it('whose handler hangs fails when its time runs out, and what the handler does later is refused', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const shop = await world.start(
        createShop(({ cents }) => (cents === 1 ? gate : undefined)),
        { handlingMs: 1_000, attemptsMax: 1 },
      )
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(2_000)
      const [letter] = await shop.admin.deadLetters()
      assert.equal(letter!.error.code, 'DEADLINE_EXCEEDED')
      release()
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [] })
    }))

  it('has its effect once when its time runs out while its transaction waits for the store', () =>
    inWorld(async (world) => {
      let gate: Promise<void> | undefined
      let open = (): void => {}
      const stores = changedWrites(world.stores, async (store, work) => {
        if (store.name === 'audit') await gate
        return store.write(work)
      })
      let tries = 0
      const trouble = (): void => {
        if (tries++ === 0) gate = new Promise((resolve) => (open = resolve))
      }
      const shop = await world.start(createShop(trouble), { handlingMs: 1_000, retryDelayMs: 100 }, { stores })
      await call(shop, book.note, { account: 'a', cents: 5 })
      await world.host.advance(1_500)
      gate = undefined
      open()
      await world.host.advance(10_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [5] })
      assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.handled === 1))
    }))

  it('is told with where it was thrown at its first try and when it is dead, and in one line between', () =>
    inWorld(async (world) => {
      const shop = await world.start(
        createShop(() => {
          throw new TypeError('the shelf\nis gone')
        }),
        { attemptsMax: 3, retryDelayMs: 10 },
      )
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(10_000)
      const told = world.logged
        .filter(({ fields }) => fields['subscription'] === 'audit')
        .map(({ fields }) => fields['error'] as AtollError)
      assert.deepEqual(
        told.map(({ message, stack }) => [message.includes('is gone'), stack !== undefined]),
        [
          [true, true],
          [false, false],
          [true, true],
        ],
      )
    }))

  it('uses up a try whatever code its error has, if that is no failure of its own store', () =>
    inWorld(async (world) => {
      for (const code of ['STORE_FULL', 'FENCED', 'STORE_CLOSED', 'LOG_CLOSED'] as const) {
        const key = code.toLowerCase()
        const shop = await world.start(
          createCopier(() => Promise.reject(new AtollError(code, 'of another service'))),
          { attemptsMax: 3, retryDelayMs: 10 },
        )
        await call(shop, book.note, { account: key, cents: 1 })
        await world.host.advance(60_000)
        const letters = (await shop.admin.deadLetters()).filter(({ event }) => event.key === key)
        assert.deepEqual(
          letters.map(({ subscription, attempts, error }) => [subscription, attempts, error.code]),
          [
            ['audit', 3, code],
            ['audit.copies', 3, code],
          ],
        )
        await shop.stop()
      }
    }))

  it('uses up no try if its own store failed, also where it made something else of that', () =>
    inWorld(async (world) => {
      let isFull = true
      const stores = changedWrites(world.stores, (store, work) =>
        store.write((tx) => work(isFull ? withoutRoom(tx) : tx)),
      )
      const shop = await world.start(
        createCopier((copy) =>
          copy.catch((cause: unknown) => {
            throw new Error('it could not be copied', { cause })
          }),
        ),
        { attemptsMax: 2, retryDelayMs: 10 },
        { stores },
      )
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(60_000)
      assert.deepEqual(await shop.admin.deadLetters(), [])
      isFull = false
      await world.host.advance(120_000)
      const rows = (await shop.admin.ledger()).filter(({ event }) => event === 'amount.noted')
      assert.deepEqual(
        rows.map(({ subscription, handled, balanced }) => [subscription, handled, balanced]),
        [
          ['audit', 1, true],
          ['audit.copies', 1, true],
        ],
      )
    }))

  it('holds back its own key alone, and uses up no try, where its store fails at its statements and carries out all others', () =>
    inWorld(async (world) => {
      let isTooMuch = true
      const stores = changedWrites(world.stores, (store, work) =>
        store.write((tx) => work(withoutRoom(tx, ([account]) => isTooMuch && account === 'big'))),
      )
      const shop = await world.start(
        createCopier((copy) => copy),
        { attemptsMax: 2, partitions: 1 },
        { stores },
      )
      for (const account of ['a', 'big', 'b', 'big', 'c']) await call(shop, book.note, { account, cents: 1 })
      const handled = async (): Promise<unknown[]> =>
        (await shop.admin.ledger())
          .filter(({ event }) => event === 'amount.noted')
          .map(({ subscription, handled, dead }) => [subscription, handled, dead])
      await world.host.advance(3_600_000)
      assert.deepEqual(await handled(), [
        ['audit', 3, 0],
        ['audit.copies', 3, 0],
      ])
      assert.equal(shop.readiness().ready, true)
      const tries = world.logged.filter(({ message }) => message.includes('it will be tried again')).length
      assert.ok(tries < 200, `${tries} tries of two within an hour`)
      isTooMuch = false
      await world.host.advance(120_000)
      assert.deepEqual(await handled(), [
        ['audit', 5, 0],
        ['audit.copies', 5, 0],
      ])
    }))

  it('holds nobody up alone where its store says that it is damaged: the partition stands still, and readiness says so for as long as that is so', () =>
    inWorld(async (world) => {
      const stores = changedWrites(world.stores, (store, work) =>
        store.write((tx) => work(withoutRoom(tx, ([account]) => account === 'odd', 'STORE_CORRUPT'))),
      )
      const shop = await world.start(
        createCopier((copy) => copy),
        { partitions: 1 },
        { stores },
      )
      for (const account of ['a', 'odd', 'b']) await call(shop, book.note, { account, cents: 1 })
      for (let minute = 0; minute < 10; minute++) await world.host.advance(60_000)
      const { ready, reasons } = shop.readiness()
      assert.equal(ready, false)
      assert.match(reasons.join(), /STORE_CORRUPT/)
    }))

  it('is followed by those behind it although the store fails between one and the next', () =>
    inWorld(async (world) => {
      for (const failAt of [1, 2, 3, 4, 5, 6]) {
        let failing = true
        let writes = 0
        const account = `bad${failAt}`
        const stores = changedWrites(world.stores, (store, work) => {
          if (store.name === 'audit' && !failing && ++writes === failAt)
            return Promise.reject(new AtollError('STORE_FULL', 'there is no room'))
          return store.write(work)
        })
        const trouble = (event: { account: string; cents: number }): void => {
          if (failing && event.account === account && event.cents === 1) throw new Error('not now')
        }
        const shop = await world.start(createShop(trouble), { retryDelayMs: 100 }, { stores })
        for (const cents of [1, 2, 3]) await call(shop, book.note, { account, cents })
        await shop.quiet()
        failing = false
        await world.host.advance(120_000)
        assert.ok(writes >= failAt, 'the store did not come to its failure')
        assert.deepEqual(
          await call(shop, audit.total, { account }),
          { cents: [1, 2, 3] },
          `the store failed at write ${failAt}`,
        )
        assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.parked === 0))
        await shop.stop()
      }
    }))

  it('does not keep others from being tried again while it hangs', () =>
    inWorld(async (world) => {
      const triedAt: Record<string, number[]> = {}
      const shop = await world.start(
        createShop(({ account }) => {
          const tries = (triedAt[account] ??= [])
          tries.push(world.host.monotonicMs())
          if (tries.length === 1) throw new Error('not now')
          return account === 'hangs' ? new Promise<void>(() => {}) : undefined
        }),
        { partitions: 1, retryDelayMs: 100, handlingMs: 30_000 },
      )
      await call(shop, book.note, { account: 'hangs', cents: 1 })
      await shop.quiet()
      await world.host.advance(200)
      await call(shop, book.note, { account: 'fails once', cents: 1 })
      await world.host.advance(1_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'fails once' }), { cents: [1] })
      const [first, second] = triedAt['fails once'] as [number, number]
      assert.ok(second - first <= 130, `it was tried again after ${second - first} ms`)
    }))

  it('is waited for by a causal read of its caller, until it is handled', () =>
    inWorld(async (world) => {
      let failing = true
      const shop = await world.start(
        createShop(() => {
          if (failing) throw new Error('not now')
        }),
        { retryDelayMs: 100, causalWaitMs: 5_000 },
      )
      const { position } = await shop.dispatch('book.note', { input: { account: 'a', cents: 5 } })
      await world.host.advance(50)
      failing = false
      const reading = call(shop, audit.total, { account: 'a' }, { position })
      await world.host.advance(1_000)
      assert.deepEqual(await reading, { cents: [5] })
    }))

  it('is not waited for by causal reads once it is a dead letter: it would be in vain', () =>
    inWorld(async (world) => {
      const shop = await world.start(
        createShop(() => {
          throw new Error('broken')
        }),
        { attemptsMax: 1 },
      )
      const { position } = await shop.dispatch('book.note', { input: { account: 'a', cents: 5 } })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }, { position }), { cents: [] })
    }))

  it('does not use up its tries while what it calls is down', () =>
    inWorld(async (world) => {
      let down = true
      const shop = await world.start(
        createShop(() => {
          if (down) throw new AtollError('UNAVAILABLE', 'the post office is closed')
        }),
        { attemptsMax: 2 },
      )
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(60_000)
      assert.deepEqual(await shop.admin.deadLetters(), [])
      down = false
      await world.host.advance(5_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
    }))

  it('becomes a dead letter also when its handler hides that a statement failed, or emits under a key that no store can keep', () =>
    inWorld(async (world) => {
      const store = sqlStore<{ rows: { n: number } }>({
        migrations: { '0001-rows': 'CREATE TABLE rows (n INTEGER PRIMARY KEY)' },
      })
      const insertTwice = async (db: Kysely<{ rows: { n: number } }>): Promise<void> => {
        await db.insertInto('rows').values({ n: 1 }).execute()
        await db
          .insertInto('rows')
          .values({ n: 1 })
          .execute()
          .catch(() => 'hidden')
      }
      const kept = event('note.kept', { version: 1, key: ({ key }) => key, data: z.object({ key: z.string() }) })
      const services = [
        ...createShop().services,
        service(contract('hiding', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [on(noted, ({ tx }) => tx(({ db }) => insertTwice(db)))],
        }),
        service(contract('showing', {}), {
          store: sqlStore({ migrations: {} }),
          handlers: {},
          projections: [
            projection('rows', { store, subscribe: ({ project }) => [project(noted, (_, { db }) => insertTwice(db))] }),
          ],
        }),
        service(contract('emitting', { events: [kept] }), {
          store,
          handlers: {},
          subscribe: ({ on }) => [on(noted, ({ tx }) => tx(({ emit }) => emit(kept, { key: 'a\0b' })))],
        }),
      ]
      const running = await world.start(system('clumsy', { services }), { attemptsMax: 2 })
      await call(running, book.note, { account: 'a', cents: 1 })
      await world.host.advance(10_000)
      const letters = await running.admin.deadLetters()
      assert.deepEqual(
        letters.map(({ subscription, attempts, error }) => `${subscription} ${attempts} ${error.code}`).sort(),
        ['emitting 2 EVENT_INVALID', 'hiding 2 TX_FAILED', 'showing.rows 2 TX_FAILED'],
      )
      assert.equal(running.readiness().ready, true)
    }))

  it('becomes a dead letter also when only the commit of its effect fails, over a constraint that waits for it, and those beside it are handled', () =>
    inWorld(async (world) => {
      const store = sqlStore<{ rows: { account: string } }>({
        migrations: {
          '0001-rows': `CREATE TABLE accounts (account TEXT PRIMARY KEY); INSERT INTO accounts VALUES ('a'), ('b'); CREATE TABLE rows (account TEXT REFERENCES accounts (account) DEFERRABLE INITIALLY DEFERRED)`,
        },
      })
      const add = (db: Kysely<{ rows: { account: string } }>, account: string): Promise<unknown> =>
        db.insertInto('rows').values({ account }).execute()
      const adding = contract('adding', {
        add: command({ input: z.object({ account: z.string() }), output: z.void() }),
      })
      const rows = projection('rows', {
        store,
        subscribe: ({ project }) => [project(noted, async ({ data }, { db }) => void (await add(db, data.account)))],
      })
      const services = [
        createShop().services[0]!,
        service(adding, {
          store,
          handlers: { add: ({ input, tx }) => tx(async ({ db }) => void (await add(db, input.account))) },
          subscribe: ({ on }) => [on(noted, ({ event, tx }) => tx(({ db }) => add(db, event.data.account)))],
        }),
        service(contract('showing', {}), { store: sqlStore({ migrations: {} }), handlers: {}, projections: [rows] }),
      ]
      const running = await world.start(system('deferring', { services }), { attemptsMax: 3, partitions: 1 })
      for (const name of ['adding', 'showing']) await running.services.get(name)!.stop()
      for (const account of ['a', 'nobody', 'b', 'nobody']) await call(running, book.note, { account, cents: 1 })
      for (const name of ['adding', 'showing']) await running.services.get(name)!.start()
      await world.host.advance(600_000)
      const letters = await running.admin.deadLetters()
      assert.deepEqual(
        letters
          .map(
            ({ subscription, attempts, event, error, parkedBehind }) =>
              `${subscription} ${attempts} ${event.key} ${error.code} ${parkedBehind}`,
          )
          .sort(),
        ['adding 3 nobody INTERNAL 1', 'showing.rows 3 nobody INTERNAL 1'],
      )
      const accounts = (await running.admin.ledger()).filter(({ event }) => event === 'amount.noted')
      assert.deepEqual(
        accounts.map(({ handled, balanced }) => [handled, balanced]),
        [
          [2, true],
          [2, true],
        ],
      )
      assert.equal(running.readiness().ready, true)
      await assert.rejects(call(running, adding.add, { account: 'nobody' }), {
        code: 'INTERNAL',
        message: /FOREIGN KEY/,
      })
    }))
})

interface CopyTables {
  written: { account: string }
  projected: { account: string }
}

/**
 * The shop with an auditor who copies notes by hand and in a projection, and does with each insert what `insist` says.
 */
function createCopier(insist: (inserting: Promise<unknown>) => Promise<unknown>): System {
  const copiesIn = (name: keyof CopyTables) =>
    sqlStore<CopyTables>({ migrations: { '0001-copies': `CREATE TABLE ${name} (account TEXT NOT NULL)` } })
  const copyTo = (name: keyof CopyTables, db: Kysely<CopyTables>, account: string): Promise<unknown> =>
    insist(db.insertInto(name).values({ account }).execute())
  const copies = projection('copies', {
    store: copiesIn('projected'),
    subscribe: ({ project }) => [
      project(noted, async ({ data }, { db }) => void (await copyTo('projected', db, data.account))),
    ],
  })
  const handlers = { total: () => ({ cents: [] }), sums: () => ({ cents: 0 }) }
  const copier = service(audit, {
    store: copiesIn('written'),
    projections: [copies],
    handlers,
    subscribe: ({ on }) => [on(noted, ({ event, tx }) => tx(({ db }) => copyTo('written', db, event.data.account)))],
  })
  return system('shop', { services: [createShop().services[0]!, copier] })
}

/** A transaction of a store that has no room for copies: for all, or for those with such values. */
function withoutRoom(
  tx: Transaction,
  isTooMuch: (params: readonly unknown[]) => boolean = () => true,
  code: 'STORE_FULL' | 'STORE_CORRUPT' = 'STORE_FULL',
): Transaction {
  let storeFailure: AtollError | undefined
  return new Proxy(tx, {
    get(_, member) {
      if (member === 'storeFailure') return storeFailure
      const value: unknown = Reflect.get(tx, member, tx)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const [statement, params = []] = args as [{ sql?: string } | undefined, (readonly unknown[])?]
        if (!/^insert into "(written|projected)"/.test(statement?.sql ?? '') || !isTooMuch(params))
          return value.apply(tx, args)
        return Promise.reject((storeFailure = new AtollError(code, 'there is no room')))
      }
    },
  })
}

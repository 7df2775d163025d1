import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { AtollError } from '@atoll/host'
import { service, system, type System } from '../../index.ts'
import { audit, book, closed, createShop } from '../../../test/shop.ts'
import { call, changedAnswers, changedWrites, inWorld } from '../../../test/world.ts'
import { isGone, type RunningSystem } from '../../runtime.ts'

const broken = ({ cents }: { cents: number }): void => {
  if (cents === 1) throw new Error('one cent is too little')
}
const why = { reason: 'paid by hand', by: 'ada' }

const discard = (shop: RunningSystem, options: { id?: string; subscription?: string }) =>
  Array.fromAsync(shop.admin.discard({ ...options, ...why }))
const row = async (shop: RunningSystem, subscription: string, event = 'amount.noted') =>
  (await shop.admin.ledger()).find((row) => row.subscription === subscription && row.event === event)!

describe('a dead letter that is discarded', () => {
  it('is never handled, and later events of its key go on by themselves, in order', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(broken), { attemptsMax: 1 })
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'ann', cents })
      await shop.quiet()
      const [letter] = await shop.admin.deadLetters()
      await discard(shop, { id: letter!.id })
      await call(shop, book.note, { account: 'ann', cents: 4 })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'ann' }), { cents: [2, 3, 4] })
      assert.deepEqual(await shop.admin.deadLetters(), [])
      assert.deepEqual(await Array.fromAsync(shop.admin.redrive({})), [])
      const { published, handled, discarded, balanced } = await row(shop, 'audit')
      assert.deepEqual([published, handled, discarded, balanced], [4, 3, 1, true])
    }))

  it('is kept as it was, with who did it, when and why, also over a restart', () =>
    inWorld(async (world) => {
      const first = await world.start(createShop(broken), { attemptsMax: 1 })
      await call(first, book.note, { account: 'ann', cents: 1 })
      await first.quiet()
      const [{ parkedBehind: _, hasNoHandler: __, ...letter }] = (await first.admin.deadLetters()) as [
        Awaited<ReturnType<typeof first.admin.deadLetters>>[0],
      ]
      await world.host.advance(60_000)
      const at = world.host.now()
      await discard(first, { id: letter.id })
      await first.stop()
      const second = await world.start(createShop())
      assert.deepEqual(await second.admin.discarded(), [{ ...letter, ...why, discardedAt: at }])
      assert.ok(
        world.logged.some(
          ({ level, fields }) => level === 'warn' && fields['by'] === 'ada' && fields['reason'] === 'paid by hand',
        ),
      )
    }))

  it('is refused for what is not dead, without a reason, without a name, and for no letter in particular', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(broken, 'bob'), { attemptsMax: 1 })
      for (const account of ['ann', 'bob']) for (const cents of [1, 2]) await call(shop, book.note, { account, cents })
      await shop.quiet()
      const [letter] = await shop.admin.deadLetters({ subscription: 'audit' })
      const parked = letter!.id.replace(/\d+$/, (number) => String(Number(number) + 1))
      for (const [options, message] of [
        [
          { id: parked, ...why },
          /there is no dead letter .* An event that is parked, or will be tried again, cannot be discarded/,
        ],
        [{ id: letter!.id, by: 'ada', reason: ' ' }, /with a reason/],
        [{ id: letter!.id, by: 'a\0b', reason: 'x' }, /with a name/],
        [why, /say which/],
        [{ id: letter!.id, subscription: 'audit', ...why }, /say which/],
        [{ subscription: 'none', ...why }, /there is no subscription none/],
      ] as const) {
        await assert.rejects(Array.fromAsync(shop.admin.discard(options)), { code: 'COMMAND_USAGE', message })
      }
      assert.equal((await shop.admin.deadLetters()).length, 3)
      assert.equal((await discard(shop, { subscription: 'audit' })).length, 2)
      assert.deepEqual(
        (await shop.admin.deadLetters()).map(({ subscription }) => subscription),
        ['audit.sums'],
        'of the one that was named',
      )
    }))

  it('is discarded once, whoever else asks for it at the same time, and by the instance that reads it', () =>
    inWorld(async (world) => {
      const options = { attemptsMax: 1, leaseMs: 3_000, partitions: 2 }
      const a = await world.start(createShop(broken), { ...options, instance: 'a' })
      const b = await world.start(createShop(broken), { ...options, instance: 'b' })
      await world.host.advance(10_000)
      for (const account of ['ann', 'bob', 'cid', 'dan'])
        for (const cents of [1, 2]) await call(a, book.note, { account, cents })
      await world.host.advance(5_000)
      const letters = await a.admin.deadLetters({ subscription: 'audit' })
      assert.equal(letters.length, 4)
      for (const { id } of letters) {
        const answers = await Promise.allSettled([a, b, a, b].map((instance) => discard(instance, { id })))
        assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
        const codes = answers.flatMap((answer) =>
          answer.status === 'rejected' ? [(answer.reason as AtollError).code] : [],
        )
        assert.deepEqual(codes.sort(), ['COMMAND_USAGE', 'UNAVAILABLE', 'UNAVAILABLE'])
        await assert.rejects(discard(a, { id }), {
          code: 'COMMAND_USAGE',
          message: /discarded already, by ada at .*: paid by hand/,
        })
      }
      await world.host.advance(5_000)
      for (const account of ['ann', 'bob', 'cid', 'dan'])
        assert.deepEqual(await call(a, audit.total, { account }), { cents: [2] })
      const { handled, discarded, balanced } = await row(a, 'audit')
      assert.deepEqual([handled, discarded, balanced], [4, 4, true])
    }))

  it('keeps the others from nothing if it is gone before its turn: that is told, and they are ended', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(broken), { attemptsMax: 1 })
      for (const account of ['ann', 'bob', 'cid']) await call(shop, book.note, { account, cents: 1 })
      await shop.quiet()
      const [first, second, third] = (await shop.admin.deadLetters({ subscription: 'audit' })).map(({ id }) => id) as [
        string,
        string,
        string,
      ]
      const dry: (string | undefined)[] = []
      for await (const item of shop.admin.redrive({ subscription: 'audit', dryRun: true })) {
        dry.push(item.outcome)
        if (dry.length === 1) await discard(shop, { id: second })
      }
      assert.deepEqual(dry, ['failed', 'gone', 'failed'])
      const ended: unknown[] = []
      for await (const item of shop.admin.discard({ subscription: 'audit', ...why })) {
        ended.push(isGone(item) ? [item.id, item.outcome, item.subscription] : item.id)
        if (ended.length === 1) await discard(shop, { id: third })
      }
      assert.deepEqual(ended, [first, [third, 'gone', 'audit']])
      const { discarded, dead, balanced } = await row(shop, 'audit')
      assert.deepEqual([discarded, dead, balanced], [3, 0, true])
    }))

  it('is found among many without reading the others', () =>
    inWorld(async (world) => {
      let lettersRead = 0
      const stores = changedAnswers(
        world.stores,
        (rows) => (lettersRead += rows.filter((row) => 'parked_behind' in row).length),
      )
      const shop = await world.start(createShop(broken), { attemptsMax: 1 }, { stores })
      const accounts = Array.from({ length: 30 }, (_, nth) => `account-${nth}`)
      for (const account of accounts) await call(shop, book.note, { account, cents: 1 })
      await shop.quiet()
      const letters = await shop.admin.deadLetters({ subscription: 'audit' })
      assert.deepEqual([letters.length, lettersRead], [30, 30])
      for (const { id } of letters.slice(0, 10)) await Array.fromAsync(shop.admin.redrive({ id }))
      for (const { id } of letters) await discard(shop, { id })
      assert.equal(lettersRead, 30 + 10 + 30)
    }))

  it('is as it was if the store fails, and can be discarded then', () =>
    inWorld(async (world) => {
      let failing = false
      const stores = changedWrites(world.stores, (store, work) =>
        failing ? Promise.reject(new AtollError('STORE_FULL', 'there is no room')) : store.write(work),
      )
      const shop = await world.start(createShop(broken), { attemptsMax: 1 }, { stores })
      for (const cents of [1, 2]) await call(shop, book.note, { account: 'ann', cents })
      await shop.quiet()
      const [letter] = await shop.admin.deadLetters()
      failing = true
      await assert.rejects(discard(shop, { id: letter!.id }), { code: 'STORE_FULL' })
      assert.equal((await shop.admin.deadLetters()).length, 1)
      failing = false
      await world.host.advance(60_000)
      await discard(shop, { id: letter!.id })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'ann' }), { cents: [2] })
    }))

  it('is kept for its time, and then counts for ever, in an account that balances over restarts', () =>
    inWorld(async (world) => {
      const options = { attemptsMax: 1, discardedKeptMs: 60_000 }
      const first = await world.start(createShop(broken), options)
      for (const account of ['ann', 'bob']) await call(first, book.note, { account, cents: 1 })
      await first.quiet()
      await discard(first, { subscription: 'audit' })
      await world.host.advance(50_000)
      assert.equal((await first.admin.discarded()).length, 2)
      await world.host.advance(40_000)
      await call(first, book.note, { account: 'cid', cents: 1 })
      await first.quiet()
      const [letter] = await first.admin.deadLetters()
      await discard(first, { id: letter!.id })
      await world.host.advance(40_000)
      assert.deepEqual(
        (await first.admin.discarded()).map(({ id }) => id),
        [letter!.id],
      )
      await world.host.advance(60_000)
      assert.deepEqual(await first.admin.discarded(), [])
      await assert.rejects(discard(first, { id: letter!.id }), {
        code: 'COMMAND_USAGE',
        message: /there is no dead letter/,
      })
      await first.stop()
      const second = await world.start(createShop(), options)
      const { published, handled, discarded, balanced } = await row(second, 'audit')
      assert.deepEqual([published, handled, discarded, balanced, second.readiness().reasons], [3, 0, 3, true, []])
    }))

  it('is known to a replay also when it is kept no more', () =>
    inWorld(async (world) => {
      const shop = await world.start(
        createShop(() => {}, 'ann'),
        { attemptsMax: 1, retryDelayMs: 10, discardedKeptMs: 60_000 },
      )
      await call(shop, book.note, { account: 'ann', cents: 1 })
      await shop.quiet()
      await discard(shop, { subscription: 'audit.sums' })
      await world.host.advance(200_000)
      assert.deepEqual(await shop.admin.discarded(), [])
      const accounted = async (): Promise<unknown> => {
        const { discarded, dead, balanced } = await row(shop, 'audit.sums')
        return [discarded, dead, balanced]
      }
      assert.deepEqual(await accounted(), [1, 0, true])
      for (let nth = 0; nth < 2; nth++) {
        const replaying = Array.fromAsync(shop.admin.replay('audit.sums'))
        await world.host.advance(1_000)
        assert.equal((await replaying).at(-1)!.done, true)
        assert.deepEqual(await accounted(), [1, 0, true])
      }
      assert.deepEqual(
        (await shop.admin.discarded()).map(({ event, by, reason }) => [event.key, by, reason]),
        [['ann', 'atoll', 'it was discarded from the projection before this one; by whom and why is kept no more']],
      )
    }))

  it('is listed among many a page at a time, oldest first', () =>
    inWorld(async (world) => {
      let most = 0
      const stores = changedAnswers(
        world.stores,
        (rows) => (most = Math.max(most, rows.filter((row) => 'discarded_at' in row).length)),
      )
      const shop = await world.start(createShop(broken), { attemptsMax: 1 }, { stores })
      const accounts = Array.from({ length: 450 }, (_, nth) => `account-${nth}`)
      await Promise.all(accounts.map((account) => call(shop, book.note, { account, cents: 1 })))
      await shop.quiet()
      await discard(shop, { subscription: 'audit' }) // all in one moment
      const listed = await shop.admin.discarded({ subscription: 'audit' })
      assert.deepEqual(listed.map(({ event }) => event.key).sort(), accounts.sort())
      assert.deepEqual(
        [...listed].sort((a, b) => a.discardedAt - b.discardedAt),
        listed,
      )
      assert.equal(most, 200)
      assert.deepEqual(await shop.admin.discarded({ id: listed[7]!.id }), [listed[7]])
    }))

  it('is discarded again when a replay cannot handle it either, and handled when it can', () =>
    inWorld(async (world) => {
      for (const [unsummable, sums, counts] of [
        ['ann', 2, [1, 1]],
        ['nobody', 3, [2, 0]],
      ] as const) {
        const first = await world.start(
          createShop(() => {}, 'ann'),
          { attemptsMax: 1, retryDelayMs: 10 },
        )
        if (unsummable === 'ann') {
          await call(first, book.note, { account: 'ann', cents: 1 })
          await first.quiet()
          await discard(first, { subscription: 'audit.sums' })
        }
        await first.stop()
        const ann = unsummable === 'ann'
        const second = await world.start(
          createShop(() => {}, unsummable),
          { attemptsMax: 1, retryDelayMs: 10 },
        )
        if (ann) await call(second, book.note, { account: 'bob', cents: 2 })
        await second.quiet()
        const replaying = Array.fromAsync(second.admin.replay('audit.sums'))
        await world.host.advance(1_000)
        assert.equal((await replaying).at(-1)!.done, true)
        const total =
          (await call(second, audit.sums, { account: 'ann' })).cents +
          (await call(second, audit.sums, { account: 'bob' })).cents
        const { handled, discarded, dead, balanced } = await row(second, 'audit.sums')
        assert.deepEqual([total, [handled, discarded], dead, balanced], [sums, counts, 0, true])
        await second.stop()
      }
    }))
})

/** The shop after a release in which the auditor handles no notes any more; or nothing. */
function withoutNotes(handles: 'closings' | 'nothing'): System {
  const [books] = createShop().services
  const store = sqlStore<{ copies: { seq?: number; account: string; cents: number } }>({
    migrations: {
      '0001-copies':
        'CREATE TABLE copies (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, cents INTEGER NOT NULL)',
    },
  })
  const handlers = { total: () => ({ cents: [] }), sums: () => ({ cents: 0 }) }
  return system('shop', {
    services: [
      books!,
      service(audit, {
        store,
        handlers,
        ...(handles === 'closings' && { subscribe: ({ on }) => [on(closed, () => {})] }),
      }),
    ],
  })
}

describe('held events of a handler that a release no longer has', () => {
  for (const handles of ['closings', 'nothing'] as const) {
    it(`are said at the start, listed, in the ledger, and can be discarded, if it handles ${handles}`, () =>
      inWorld(async (world) => {
        const old = await world.start(
          createShop(() => {
            throw new Error('broken')
          }),
          { attemptsMax: 2, retryDelayMs: 1_000 },
        )
        await call(old, book.note, { account: 'ann', cents: 1 })
        await old.quiet()
        await world.host.advance(2_000) // dead
        // parked; retrying, and parked
        for (const account of ['ann', 'bob', 'bob']) await call(old, book.note, { account, cents: 2 })
        await old.quiet()
        await old.stop()
        const shop = await world.start(withoutNotes(handles))
        assert.ok(
          world.logged.some(
            ({ level, message }) =>
              level === 'warn' &&
              /4 events amount.noted are held for audit, which does not handle them any more/.test(message),
          ),
        )
        await world.host.advance(5_000)
        const letters = await shop.admin.deadLetters()
        assert.deepEqual(
          letters.map(({ event, hasNoHandler, parkedBehind }) => [event.key, hasNoHandler, parkedBehind]),
          [
            ['ann', true, 1],
            ['bob', true, 1],
          ],
        )
        const { handled, pending, parked, dead, hasNoHandler, balanced } = await row(shop, 'audit')
        assert.deepEqual([handled, pending, parked, dead, hasNoHandler, balanced], [0, 0, 2, 2, true, true])
        assert.deepEqual(
          (await Array.fromAsync(shop.admin.redrive({ id: letters[0]!.id }))).map(({ outcome }) => outcome)[0],
          'failed',
        )
        for (let round = 0; round < 2; round++) {
          await discard(shop, { subscription: 'audit' })
          await world.host.advance(1_000)
        }
        assert.deepEqual(await shop.admin.deadLetters(), [])
        assert.equal((await shop.admin.discarded()).length, 4)
        assert.equal(
          (await shop.admin.ledger()).some((row) => row.hasNoHandler),
          false,
        )
      }))
  }

  it('are handled when the handler comes back', () =>
    inWorld(async (world) => {
      const old = await world.start(
        createShop(() => {
          throw new Error('broken')
        }),
        { attemptsMax: 1 },
      )
      for (const cents of [1, 2]) await call(old, book.note, { account: 'ann', cents })
      await old.quiet()
      await old.stop()
      const without = await world.start(withoutNotes('nothing'))
      await without.quiet()
      await without.stop()
      const shop = await world.start(createShop())
      await shop.quiet()
      assert.deepEqual(
        (await Array.fromAsync(shop.admin.redrive({ subscription: 'audit' }))).map(({ outcome }) => outcome),
        ['handled', 'handled'],
      )
      assert.deepEqual(await call(shop, audit.total, { account: 'ann' }), { cents: [1, 2] })
    }))
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { z } from 'zod'
import { audit, book, createShop, type Trouble } from '../../../test/shop.ts'
import { call, changedReads, inWorld, type World } from '../../../test/world.ts'
import { command, contract, query, service, system } from '../../index.ts'
import { decodePosition, encodePosition, type RunningSystem } from '../../runtime.ts'

describe('a position that its source never had', () => {
  it('is not waited for: of another history, between two events, of a partition that there is not, or made up', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      for (let index = 0; index < 40; index++) await call(shop, book.note, { account: `a${index}`, cents: index })
      await shop.quiet()
      const last = await lastOrders(shop)
      const [partition, order] = [...last].find(([, order]) => order < 40)!
      const empty = [...Array(16).keys()].find((one) => !last.has(one))
      for (const [partitions, what] of [
        [{ [partition]: String(order + 1) }, 'behind the last event of its partition, and not of its service'],
        [{ [partition]: `999999-${order}` }, 'kept over a deletion of the data'],
        [{ 9_999: '1', 16: '1', 1.5: '1' }, 'of partitions that there are not'],
        ...(empty === undefined ? [] : ([[{ [empty]: '1' }, 'of a partition without events']] as const)),
        [{ [partition]: 'zzzz' }, 'that is no order of ours'],
      ] as const) {
        const { cents } = await within(
          world,
          50,
          call(shop, audit.total, { account: 'a1' }, { position: { book: partitions, nobody: { 0: '1' } } }),
        )
        assert.deepEqual(cents, [1], what)
      }
    }))

  it('is asked about once for all who come with one, however many, and however much is in theirs', () =>
    inWorld(async (world) => {
      let questions = 0
      const stores = changedReads(
        world.stores,
        async ({ sql }) => void (questions += sql.includes('FROM atoll_outbox ORDER BY seq DESC') ? 1 : 0),
      )
      const shop = await world.start(createShop(), {}, { stores })
      await call(shop, book.note, { account: 'a', cents: 1 })
      await shop.quiet()
      questions = 0
      const forged = decodePosition(
        Array.from({ length: 700 }, (_, index) => `book.${index % 16}.${index}99999`).join(','),
      )!
      const reading = Array.from({ length: 200 }, () => call(shop, audit.total, { account: 'a' }, { position: forged }))
      for (const { cents } of await within(world, 50, Promise.all(reading))) assert.deepEqual(cents, [1])
      assert.ok(questions <= 2, `the store was asked ${questions} times`)
    }))

  it('is not waited for where its source runs in another process either, which is asked once for all; what that one did emit is', () =>
    inWorld(async (world) => {
      const gate = Promise.withResolvers<void>()
      const { books, auditor, asked } = await startApart(world, () => gate.promise)
      const { position } = await books.dispatch('book.note', { input: { account: 'a', cents: 1 } })
      const [partition] = Object.keys(position['book']!)
      const forged = { book: { [Number(partition)]: '4711', 9_999: '1' } }
      const reading = Array.from({ length: 100 }, () =>
        call(auditor, audit.total, { account: 'b' }, { position: forged }),
      )
      const genuine = call(auditor, audit.total, { account: 'a' }, { position })
      for (const { cents } of await within(world, 50, Promise.all(reading))) assert.deepEqual(cents, [])
      assert.ok(asked() <= 2, `its process was asked ${asked()} times`)
      gate.resolve()
      assert.deepEqual(await within(world, 50, genuine), { cents: [1] })
    }))

  it('is neither waited for nor asked about, of a partition that the system has not, also while its source cannot be asked', () =>
    inWorld(async (world) => {
      const { auditor, asked, cut } = await startApart(world, () => Promise.resolve())
      cut()
      const before = asked()
      const { cents } = await within(
        world,
        50,
        call(auditor, audit.total, { account: 'a' }, { position: { book: { 16: '1', 9_999: '1' } } }),
      )
      assert.deepEqual([cents, asked()], [[], before])
    }))

  it('is not waited for when another instance reads the partition', () =>
    inWorld(async (world) => {
      const shops = await startTwo(world)
      const { position } = await shops[0].dispatch('book.note', { input: { account: 'a', cents: 1 } })
      await world.host.advance(100)
      const beyond = Object.fromEntries([...Array(16).keys()].map((partition) => [partition, '4711']))
      const reading = shops.map((shop) =>
        call(shop, audit.total, { account: 'a' }, { position: { book: { ...beyond, ...position['book'] } } }),
      )
      for (const { cents } of await within(world, 50, Promise.all(reading))) assert.deepEqual(cents, [1])
    }))

  it('does not hide what its caller has written in the same partition', () =>
    inWorld(async (world) => {
      const gate = Promise.withResolvers<void>()
      const shop = await world.start(createShop(() => gate.promise))
      const { position } = await shop.dispatch('book.note', { input: { account: 'a', cents: 1 } })
      const [[partition, order]] = Object.entries(position['book']!) as [[string, string]] // it emitted one event
      const reading = call(
        shop,
        audit.total,
        { account: 'a' },
        { position: { book: { [Number(partition)]: `4711-${order}` } } },
      )
      await world.host.advance(20)
      gate.resolve()
      assert.deepEqual(await within(world, 50, reading), { cents: [1] })
    }))

  it('has no more places than fit into a header', () => {
    const text = (places: number) => Array.from({ length: places }, (_, index) => `book.${index}.7`).join(',')
    assert.equal(Object.keys(decodePosition(text(700))!['book']!).length, 256)
    assert.equal(encodePosition(decodePosition(text(256))!), text(256))
    assert.equal(
      encodePosition({ book: Object.fromEntries([...Array(700).keys()].map((partition) => [partition, '7'])) }),
      text(256),
    )
  })
})

describe('a causal read of what its caller has seen', () => {
  it('waits for what its source has emitted and cannot hand on, however long the backlog before it', () =>
    inWorld(async (world) => {
      let isCut = true
      const log = {
        ...world.log,
        append: (...args: Parameters<typeof world.log.append>) =>
          isCut ? Promise.reject(new AtollError('UNAVAILABLE', 'the log is away')) : world.log.append(...args),
      }
      const first = await world.start(createShop(), { instance: 'a' }, { log })
      const { position } = await first.dispatch('book.note', { input: { account: 'mine', cents: 1 } })
      for (let cents = 0; cents < 1_200; cents++) await call(first, book.note, { account: 'of others', cents })
      const second = await world.start(createShop(), { instance: 'b' }, { log })
      const reading = call(second, audit.total, { account: 'mine' }, { position })
      await world.host.advance(500)
      isCut = false
      await world.host.advance(4_000)
      assert.deepEqual(await reading, { cents: [1] })
    }))

  it('waits for what another process has emitted, also while that one cannot be asked', () =>
    inWorld(async (world) => {
      const gate = Promise.withResolvers<void>()
      const { books, auditor, cut } = await startApart(world, () => gate.promise)
      cut()
      const { position } = await books.dispatch('book.note', { input: { account: 'a', cents: 1 } })
      const reading = call(auditor, audit.total, { account: 'a' }, { position })
      await world.host.advance(1_000)
      gate.resolve()
      assert.deepEqual(await within(world, 50, reading), { cents: [1] })
    }))

  it('waits with one question to the store for all who wait for what another instance reads', () =>
    inWorld(async (world) => {
      let questions = 0
      const stores = changedReads(
        world.stores,
        async ({ sql }) =>
          void (questions +=
            sql.includes('FROM atoll_cursors WHERE subscription') && sql.includes('atoll_held') ? 1 : 0),
      )
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const shops = await startTwo(world, () => createShop(() => gate), stores)
      const accounts = Array.from({ length: 32 }, (_, index) => `account-${index}`)
      const answers = await Promise.all(
        accounts.map((account) => shops[0].dispatch('book.note', { input: { account, cents: 1 } })),
      )
      const reading = shops.flatMap((shop) =>
        accounts.map((account, index) => call(shop, audit.total, { account }, { position: answers[index]!.position })),
      )
      questions = 0
      await world.host.advance(1_000)
      const whileWaiting = questions
      release()
      await world.host.advance(100)
      assert.equal((await Promise.all(reading)).filter(({ cents }) => cents.length === 1).length, 64)
      assert.ok(
        whileWaiting > 2 && whileWaiting <= 2 * 2 * 101,
        `the store was asked ${whileWaiting} times in a second, by two instances for two subscriptions each`,
      )
    }))

  it('waits for an event that another instance tries again', () =>
    inWorld(async (world) => {
      let isFailing = true
      const shops = await startTwo(world, () =>
        createShop(() => {
          if (isFailing) throw new Error('not now')
        }),
      )
      const accounts = Array.from({ length: 16 }, (_, index) => `account-${index}`)
      const answers = await Promise.all(
        accounts.map((account) => shops[0].dispatch('book.note', { input: { account, cents: 1 } })),
      )
      await world.host.advance(1_500) // also those that are none of theirs are noted by then
      const reading = shops.flatMap((shop) =>
        accounts.map((account, index) => call(shop, audit.total, { account }, { position: answers[index]!.position })),
      )
      await world.host.advance(50)
      isFailing = false
      await world.host.advance(4_000)
      for (const answer of await Promise.all(reading)) assert.deepEqual(answer, { cents: [1] })
    }))

  it('waits for what its caller may have seen until it has waited long enough, also in what it calls, and then answers from what is there', () =>
    inWorld(async (world) => {
      const gate = Promise.withResolvers<void>()
      const clerk = contract('clerk', {
        total: query({
          input: z.object({ account: z.string() }),
          output: z.object({ cents: z.array(z.int()) }),
          consistency: 'eventual',
        }),
      })
      const services = [
        ...createShop(({ account }) => (account === 'stuck' ? gate.promise : undefined)).services,
        service(clerk, { handlers: { total: ({ input, call }) => call(audit.total, input) } }),
      ]
      const shop = await world.start(system('shop', { services }), { handlingMs: 60_000 })
      const stuck = await shop.dispatch('book.note', { input: { account: 'stuck', cents: 1 } })
      for (const operation of ['audit.total', 'clerk.total']) {
        const maybeSeen = { position: stuck.position, untilMs: world.host.monotonicMs() + 300 }
        const own = await shop.dispatch('book.note', { input: { account: operation, cents: 2 } })
        const answer = shop.dispatch(operation, { input: { account: operation }, position: own.position, maybeSeen })
        const early = await Promise.race([answer, world.host.advance(299)])
        assert.equal(early, undefined, 'it waits')
        const { output, missed } = await within(world, 2, answer)
        assert.deepEqual([output, missed], [{ cents: [2] }, true])
      }
      const maybeSeen = { position: stuck.position, untilMs: world.host.monotonicMs() + 300 }
      const answer = shop.dispatch('clerk.total', { input: { account: 'stuck' }, maybeSeen })
      gate.resolve()
      const { output, missed } = await within(world, 100, answer)
      assert.deepEqual([output, missed], [{ cents: [1] }, false])
    }))

  it('is refused early when too many wait and it has waited longest; those who have just written are answered', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const shop = await world.start(
        createShop(({ account }) => (account === 'stuck' ? gate : undefined)),
        { causalWaitsMax: 10, handlingMs: 60_000 },
      )
      const stuck = await shop.dispatch('book.note', { input: { account: 'stuck', cents: 1 } })
      const outcomes: string[] = []
      for (let index = 0; index < 15; index++) {
        void shop.dispatch('audit.total', { input: { account: 'stuck' }, position: stuck.position }).then(
          () => outcomes.push(`${index} answered`),
          ({ code, message }: AtollError) =>
            outcomes.push(`${index} ${code}${message.includes('causalWaitsMax') ? ' early' : ''}`),
        )
      }
      const own = await shop.dispatch('book.note', { input: { account: 'own', cents: 2 } })
      const reading = call(shop, audit.total, { account: 'own' }, { position: own.position })
      await world.host.advance(100)
      assert.deepEqual(await reading, { cents: [2] })
      assert.deepEqual(
        outcomes,
        [0, 1, 2, 3, 4, 5].map((index) => `${index} BEHIND early`),
      )
      release()
      await world.host.advance(100)
      assert.deepEqual(
        outcomes.slice(6).sort(),
        [10, 11, 12, 13, 14, 6, 7, 8, 9].map((index) => `${index} answered`),
      )
    }))
})

describe('a service that is asked for more than it takes', () => {
  it('takes commands, however many only read', () =>
    inWorld(async (world) => {
      const gate = Promise.withResolvers<void>()
      const Empty = z.object({})
      const desk = contract('desk', {
        read: query({ input: Empty, output: z.void() }),
        write: command({ input: Empty, output: z.void() }),
      })
      const running = await world.start(
        system('desks', { services: [service(desk, { handlers: { read: () => gate.promise, write: () => {} } })] }),
        { operationsInFlightMax: 3 },
      )
      const reading = Array.from({ length: 3 }, () => call(running, desk.read, {}))
      await assert.rejects(call(running, desk.read, {}), { code: 'OVERLOADED' })
      await call(running, desk.write, {})
      gate.resolve()
      await Promise.all(reading)
    }))
})

/** What is answered before so much time has passed. */
async function within<T>(world: World, ms: number, answer: Promise<T>): Promise<T> {
  let isThere = false
  const noted = (): void => void (isThere = true)
  void answer.then(noted, noted)
  await world.host.advance(ms)
  assert.ok(isThere, `there was no answer within ${ms} ms`)
  return answer
}

/** By partition, the order of its last event. */
async function lastOrders(shop: RunningSystem): Promise<Map<number, number>> {
  const last = new Map<number, number>()
  for await (const { partition, order } of shop.admin.events({})) last.set(partition, Number(order))
  return last
}

/** The book in one process and the auditor in another, with a network between them. */
async function startApart(
  world: World,
  trouble: Trouble,
): Promise<{ books: RunningSystem; auditor: RunningSystem; asked: () => number; cut: () => void }> {
  let [asked, isCut] = [0, false]
  const books = await world.start(createShop(), { services: ['book'] })
  const calls = {
    async dispatch(...[operation, request]: Parameters<RunningSystem['dispatch']>) {
      if (operation.endsWith('@standing')) asked++
      if (isCut) throw new AtollError('UNAVAILABLE', 'the network is cut')
      return books.dispatch(operation, request)
    },
  }
  const auditor = await world.start(createShop(trouble), { services: ['audit'] }, { calls })
  return { books, auditor, asked: () => asked, cut: () => void (isCut = true) }
}

/** Two instances that share the partitions. */
async function startTwo(
  world: World,
  build = createShop,
  stores = world.stores,
): Promise<readonly [RunningSystem, RunningSystem]> {
  const options = { leaseMs: 3_000, handlingMs: 60_000 }
  const a = await world.start(build(), { ...options, instance: 'a' }, { stores })
  const b = await world.start(build(), { ...options, instance: 'b' }, { stores })
  await world.host.advance(10_000)
  return [a, b]
}

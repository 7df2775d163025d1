import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, query, service, system, upcast, type EventDefinition } from '../index.ts'
import { call, changedWrites, inWorld } from '../../test/world.ts'

// One source whose events change over time, and readers that come later.

const V1 = z.object({ id: z.string(), name: z.string() })
const V2 = z.object({ id: z.string(), first: z.string(), last: z.string() })
const addedV1 = event('person.added', { version: 1, key: ({ id }) => id, data: V1 })
const addedV2 = event('person.added', {
  version: 2,
  key: ({ id }) => id,
  data: V2,
  upcasters: { 1: upcast(V1, ({ id, name }) => ({ id, first: name.split(' ')[0], last: name.split(' ')[1] })) },
})
const removed = event('person.removed', { version: 1, key: ({ id }) => id, data: z.object({ id: z.string() }) })

function peopleOf(added: EventDefinition) {
  return contract('people', {
    events: [added, removed],
    add: command({ input: z.any(), output: z.void() }),
    remove: command({ input: z.object({ id: z.string() }), output: z.void() }),
  })
}
const seen = contract('seen', { all: query({ input: z.object({}), output: z.array(z.string()) }) })

/** A system of the source, with a reader of the given events or without one. */
function build(added: EventDefinition, reads: readonly EventDefinition[] | undefined) {
  const people = peopleOf(added)
  const source = service(people, {
    handlers: {
      add: async ({ input, tx }) => {
        await tx(({ emit }) => emit(added, input))
      },
      remove: async ({ input, tx }) => {
        await tx(({ emit }) => emit(removed, input))
      },
    },
  })
  const reader = service(seen, {
    store: sqlStore<{ seen: { seq?: number; text: string } }>({
      migrations: { '0001-seen': 'CREATE TABLE seen (seq INTEGER PRIMARY KEY, text TEXT)' },
    }),
    subscribe: ({ project }) =>
      (reads ?? []).map((event) =>
        project(event, ({ type, data }, { db }) =>
          db
            .insertInto('seen')
            .values({ text: `${type} ${JSON.stringify(data)}` })
            .execute(),
        ),
      ),
    handlers: {
      all: async ({ db }) =>
        (await db.selectFrom('seen').select('text').orderBy('seq').execute()).map((row) => row.text),
    },
  })
  return { system: system('census', { services: reads ? [source, reader] : [source] }), people }
}

describe('a system that changes', () => {
  it('brings a new subscription everything from the beginning', () =>
    inWorld(async (world) => {
      const before = build(addedV1, undefined)
      const first = await world.start(before.system)
      for (let hundred = 0; hundred < 100; hundred++) {
        await Promise.all(
          Array.from({ length: 100 }, (_, id) =>
            call(first, before.people.add, { id: `p${hundred * 100 + id}`, name: 'Ann Lee' }),
          ),
        )
      }
      await first.stop()
      const after = await world.start(build(addedV1, [addedV1]).system)
      await after.quiet()
      assert.equal((await call(after, seen.all, {})).length, 10_000)
      assert.ok((await after.admin.ledger()).every((row) => row.balanced && row.handled === 10_000))
    }))

  it('lifts old versions of an event to the present one', () =>
    inWorld(async (world) => {
      const before = build(addedV1, undefined)
      const first = await world.start(before.system)
      await call(first, before.people.add, { id: 'p1', name: 'Ann Lee' })
      await first.stop()
      const after = build(addedV2, [addedV2])
      const second = await world.start(after.system)
      await call(second, after.people.add, { id: 'p1', first: 'Bo', last: 'Ray' })
      await second.quiet()
      assert.deepEqual(await call(second, seen.all, {}), [
        'person.added {"id":"p1","first":"Ann","last":"Lee"}',
        'person.added {"id":"p1","first":"Bo","last":"Ray"}',
      ])
    }))

  it('makes a dead letter of an event that no version understands, parks its key, and goes on', () =>
    inWorld(async (world) => {
      const newer = build(addedV2, undefined)
      const first = await world.start(newer.system)
      for (const id of ['p1', 'p2', 'p1']) await call(first, newer.people.add, { id, first: 'Bo', last: 'Ray' })
      await call(first, newer.people.remove, { id: 'p3' })
      await first.stop()
      const older = await world.start(build(addedV1, [addedV1, removed]).system)
      await older.quiet()
      assert.deepEqual(await call(older, seen.all, {}), ['person.removed {"id":"p3"}'])
      const letters = await older.admin.deadLetters()
      assert.deepEqual(letters.map((letter) => [letter.error.code, letter.event.key, letter.parkedBehind]).sort(), [
        ['EVENT_UNREADABLE', 'p1', 1],
        ['EVENT_UNREADABLE', 'p2', 0],
      ])
      await older.stop()
      const again = await world.start(build(addedV2, [addedV2, removed]).system)
      await Array.fromAsync(again.admin.redrive({}))
      assert.equal((await call(again, seen.all, {})).length, 4)
      assert.ok((await again.admin.ledger()).every((row) => row.balanced && row.dead === 0))
    }))

  it('brings an event that a subscription began to handle later, from its beginning, once', () =>
    inWorld(async (world) => {
      const first = build(addedV1, [addedV1])
      const running = await world.start(first.system)
      for (const id of ['p1', 'p2', 'p3']) {
        await call(running, first.people.add, { id, name: 'A B' })
        await call(running, first.people.remove, { id })
      }
      await running.quiet()
      await running.stop()
      for (let restart = 0; restart < 2; restart++) {
        const later = await world.start(build(addedV1, [addedV1, removed]).system)
        await later.quiet()
        const texts = await call(later, seen.all, {})
        assert.equal(texts.filter((text) => text.startsWith('person.added')).length, 3)
        assert.equal(texts.filter((text) => text.startsWith('person.removed')).length, 3)
        assert.ok((await later.admin.ledger()).every((row) => row.balanced && row.handled === 3))
        await later.stop()
      }
    }))

  it('brings an event whose handler was away for some releases everything that it missed, once', () =>
    inWorld(async (world) => {
      const release = async (reads: readonly EventDefinition[], ids: readonly string[]) => {
        const { system, people } = build(addedV1, reads)
        const running = await world.start(system, { partitions: 2 })
        for (const id of ids) {
          await call(running, people.add, { id, name: 'A B' })
          await call(running, people.remove, { id })
        }
        await running.quiet()
        const seenTexts = await call(running, seen.all, {})
        const ledger = await running.admin.ledger()
        await running.stop()
        assert.ok(
          ledger.every((row) => row.balanced),
          JSON.stringify(ledger),
        )
        return seenTexts
      }
      const ids = (from: number, to: number): string[] =>
        Array.from({ length: to - from }, (_, index) => `p${from + index}`)
      await release([addedV1, removed], ids(0, 5))
      await release([removed], ids(5, 10))
      await release([addedV1, removed], ids(10, 15))
      await release([addedV1], ids(15, 20))
      await release([removed], ids(20, 25))
      const texts = await release([addedV1, removed], ids(25, 30))
      for (const what of ['person.added', 'person.removed']) {
        const found = texts
          .filter((text) => text.startsWith(what))
          .map((text) => (JSON.parse(text.slice(what.length + 1)) as { id: string }).id)
        assert.deepEqual(found.toSorted(), ids(0, 30).toSorted(), what)
      }
    }))

  it('brings every event once, of what only the newer version handles as well, while an older one runs beside it and when that is gone', () =>
    inWorld(async (world) => {
      const [before, after] = [build(addedV1, [addedV1]), build(addedV1, [addedV1, removed])]
      const options = { leaseMs: 3_000 }
      const older = await world.start(before.system, { ...options, instance: 'older' })
      let people = 0
      const come = async (running: typeof older): Promise<void> => {
        for (const id of Array.from({ length: 20 }, () => `p${people++}`)) {
          await call(running, before.people.add, { id, name: 'A B' })
          await call(running, before.people.remove, { id })
        }
        await world.host.advance(5_000)
      }
      await come(older)
      const newer = await world.start(after.system, { ...options, instance: 'newer' })
      await come(older)
      await come(newer)
      await world.host.advance(10_000) // by now they share the partitions
      await come(older)
      await older.stop()
      await come(newer)
      await world.host.advance(10_000)
      await newer.quiet()
      const texts = await call(newer, seen.all, {})
      assert.equal(new Set(texts).size, texts.length)
      for (const what of ['person.added', 'person.removed'])
        assert.equal(texts.filter((text) => text.startsWith(what)).length, people, what)
      const ledger = await newer.admin.ledger()
      assert.deepEqual(
        ledger.map(({ handled, balanced }) => [handled, balanced]),
        [
          [people, true],
          [people, true],
        ],
      )
    }))

  it('can be rolled back in the midst of bringing a new event its past, and forward again', () =>
    inWorld(async (world) => {
      const before = build(addedV1, [removed])
      const first = await world.start(before.system, { partitions: 1 })
      for (let id = 0; id < 300; id++) {
        await call(first, before.people.add, { id: `p${id}`, name: 'A B' })
        await call(first, before.people.remove, { id: `p${id}` })
      }
      await first.quiet()
      await first.stop()

      const after = build(addedV1, [addedV1, removed])
      let writes = 0
      const stores = changedWrites(world.stores, (store, work) =>
        store.name === 'seen' && ++writes > 4
          ? Promise.reject(new AtollError('STORE_FULL', 'there is no room'))
          : store.write(work),
      )
      const second = await world.start(after.system, { partitions: 1, readBatchMax: 50 }, { stores })
      await world.host.advance(1_000)
      await second.stop()
      const brought = (texts: readonly string[], what: string): number =>
        texts.filter((text) => text.startsWith(what)).length

      const back = await world.start(before.system, { partitions: 1 })
      for (let id = 300; id < 320; id++) {
        await call(back, before.people.add, { id: `p${id}`, name: 'A B' })
        await call(back, before.people.remove, { id: `p${id}` })
      }
      await back.quiet()
      const partly = await call(back, seen.all, {})
      assert.ok(
        brought(partly, 'person.added') > 0 && brought(partly, 'person.added') < 300,
        `${brought(partly, 'person.added')} were brought`,
      )
      assert.equal(brought(partly, 'person.removed'), 320)
      assert.deepEqual(await back.admin.deadLetters(), [])
      await back.stop()

      const again = await world.start(after.system, { partitions: 1 })
      await again.quiet()
      const texts = await call(again, seen.all, {})
      assert.equal(brought(texts, 'person.added'), 320)
      assert.equal(new Set(texts).size, 640)
      assert.ok((await again.admin.ledger()).every((row) => row.balanced && row.handled === 320))
    }))

  it('shows of each older version of an event what its data were', () => {
    const { from } = addedV2.upcasters[1]!
    assert.equal(from, V1)
    assert.equal(from.safeParse({ id: 'a' }).success, false)
  })
})

describe('a system that does not fit together', () => {
  const people = peopleOf(addedV1)
  const handlers = { add: async () => {}, remove: async () => {} }

  it('is refused when two services declare one event', () => {
    const other = contract('others', { events: [event('person.added', { version: 1, key: () => 'k', data: V1 })] })
    assert.throws(() => system('x', { services: [service(people, { handlers }), service(other, { handlers: {} })] }), {
      code: 'DEFINITION_INVALID',
    })
  })

  it('is refused when it has no services', () => {
    assert.throws(() => system('bad', { services: [] }), {
      code: 'DEFINITION_INVALID',
      message: /system bad has no services/,
    })
  })

  it('is refused when one service declares an event twice', () => {
    const twice = contract('people', {
      events: [
        event('person.added', { version: 1, key: () => 'k', data: V1 }),
        event('person.added', { version: 1, key: () => 'k', data: V1 }),
      ],
    })
    assert.throws(() => system('x', { services: [service(twice, { handlers: {} })] }), {
      code: 'DEFINITION_INVALID',
      message: /service people declares event person\.added twice/,
    })
  })

  it('is refused when nobody emits an event that is handled', () => {
    const reader = service(contract('reader', {}), {
      handlers: {},
      subscribe: ({ project }) => [project(removed, () => {})],
    })
    assert.throws(() => system('x', { services: [reader] }), {
      code: 'DEFINITION_INVALID',
      message: /person\.removed, which no service/,
    })
  })

  it('is refused when two operations share a route', () => {
    const route = (name: string, http: `GET /${string}`) =>
      service(contract(name, { read: query({ http, input: z.object({}), output: z.any() }) }), {
        handlers: { read: () => 1 },
      })
    assert.throws(() => system('x', { services: [route('a', 'GET /x/:id'), route('b', 'GET /x/:name')] }), {
      code: 'DEFINITION_INVALID',
    })
  })

  it('is refused when an event has no upcaster for an older version', () => {
    assert.throws(
      () => event('a.b', { version: 3, key: () => 'k', data: V1, upcasters: { 1: upcast(V1, (data) => data) } }),
      /no upcaster for version 2/,
    )
  })

  it('is refused when the status of an operation does not say success', () => {
    for (const status of [42, 404, 200.5])
      assert.throws(() => query({ input: z.object({}), output: z.any(), status }), {
        code: 'DEFINITION_INVALID',
        message: new RegExp(`status ${status}`),
      })
  })

  it('is refused when a path names what the input does not have', () => {
    const read = query({
      http: 'GET /things/:thing',
      auth: 'none',
      input: z.object({ id: z.string() }),
      output: z.any(),
    })
    assert.throws(() => contract('things', { read }), {
      code: 'DEFINITION_INVALID',
      message: /names thing, which its input does not have \(id\)/,
    })
  })

  it('is refused when an event carries what JSON cannot', () => {
    for (const data of [
      z.object({ at: z.date() }),
      z.object({ at: z.string().transform(Number) }),
      z.map(z.string(), z.string()),
    ]) {
      assert.throws(() => event('a.b', { version: 1, key: () => 'k', data }), {
        code: 'DEFINITION_INVALID',
        message: /event a\.b.*: (JSON has no|it is parsed)/,
      })
    }
  })
})

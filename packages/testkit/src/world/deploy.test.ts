import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { command, contract, event, query, service, system, upcast, type EventDefinition, type System } from 'atoll'
import { z } from 'zod'
import { world } from './world.ts'

// A guest book that changes: first people have a name, then a first and a last one; somebody begins to read it later.

const V1 = z.object({ id: z.string(), name: z.string() })
const V2 = z.object({ id: z.string(), first: z.string(), last: z.string() })
const joinedV1 = event('guest.joined', { version: 1, key: ({ id }) => id, data: V1 })
const joinedV2 = event('guest.joined', {
  version: 2,
  key: ({ id }) => id,
  data: V2,
  upcasters: { 1: upcast(V1, ({ id, name }) => ({ id, first: name.split(' ')[0], last: name.split(' ')[1] })) },
})

const guestsOf = (joined: EventDefinition) =>
  contract('guests', {
    events: [joined],
    join: command({ http: 'POST /guests', auth: 'none', input: joined.data, output: z.void() }),
  })
const seats = contract('seats', {
  all: query({ http: 'GET /seats', auth: 'none', input: z.object({}), output: z.array(z.string()) }),
})
const cards = contract('cards', { all: query({ input: z.object({}), output: z.array(z.string()) }) })

const guestsService = (joined: EventDefinition) =>
  service(guestsOf(joined), {
    handlers: {
      join: async ({ input, tx }) => {
        await tx(({ emit }) => emit(joined, input))
      },
    },
  })

const seatsV1Store = sqlStore<{ seats: { id: string } }>({
  migrations: { '0001-seats': 'CREATE TABLE seats (id TEXT PRIMARY KEY)' },
})
const seatsV1 = service(seats, {
  store: seatsV1Store,
  handlers: {
    all: async ({ db }) => (await db.selectFrom('seats').select('id').orderBy('id').execute()).map(({ id }) => id),
  },
  subscribe: ({ on }) => [
    on(joinedV1, ({ event: { data }, tx }) => tx(({ db }) => db.insertInto('seats').values({ id: data.id }).execute())),
  ],
})

const seatsV2 = (migration = "ALTER TABLE seats ADD COLUMN label TEXT NOT NULL DEFAULT '?'") =>
  service(seats, {
    store: sqlStore<{ seats: { id: string; label?: string } }>({
      migrations: { '0001-seats': 'CREATE TABLE seats (id TEXT PRIMARY KEY)', '0002-labels': migration },
    }),
    handlers: {
      all: async ({ db }) =>
        (await db.selectFrom('seats').selectAll().orderBy('id').execute()).map(({ id, label }) => `${id} ${label}`),
    },
    subscribe: ({ on }) => [
      on(joinedV2, ({ event: { data }, tx }) =>
        tx(({ db }) => db.insertInto('seats').values({ id: data.id, label: data.last }).execute()),
      ),
    ],
  })

const cardsService = service(cards, {
  store: sqlStore<{ cards: { seq?: number; text: string } }>({
    migrations: { '0001-cards': 'CREATE TABLE cards (seq INTEGER PRIMARY KEY, text TEXT NOT NULL)' },
  }),
  handlers: {
    all: async ({ db }) =>
      (await db.selectFrom('cards').select('text').orderBy('text').execute()).map(({ text }) => text),
  },
  subscribe: ({ on }) => [
    on(joinedV2, ({ event: { data }, tx }) =>
      tx(({ db }) =>
        db
          .insertInto('cards')
          .values({ text: `${data.last}, ${data.first}` })
          .execute(),
      ),
    ),
  ],
})

const before = system('party', { services: [guestsService(joinedV1), seatsV1] })
const after = system('party', { services: [guestsService(joinedV2), seatsV2(), cardsService] })

const ann = { id: 'a', name: 'Ann Lee' }
const bob = { id: 'b', first: 'Bob', last: 'Ray' }

describe('another version of a system', () => {
  it('finds what the one before left: stores with its migrations added, old events lifted, and all of them brought to who is new', async () => {
    await using party = await world(before)
    await party.call(guestsOf(joinedV1).join, ann)
    await party.quiet()
    assert.deepEqual(await party.call(seats.all, {}), ['a'])

    await party.deploy(after)
    await party.call(guestsOf(joinedV2).join, bob)
    await party.quiet()
    assert.deepEqual(await party.call(seats.all, {}), ['a ?', 'b Ray'])
    assert.deepEqual(await party.call(cards.all, {}), ['Lee, Ann', 'Ray, Bob'])
    await party.assertConserved()
  })

  it('takes over in the midst of work, and nothing is lost or doubled', async () => {
    for (let seed = 0; seed < 8; seed++) {
      await using party = await world(before, { seed })
      await party.scale('seats', 2)
      const joining = Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          party.call(guestsOf(joinedV1).join, { id: `g${index}`, name: 'Ann Lee' }),
        ),
      )
      const [outcomes] = await Promise.all([joining, party.deploy(after)])
      await party.quiet()
      const seated = await party.call(seats.all, {})
      const joined = await party.events()
      for (const [index, { status }] of outcomes.entries())
        if (status === 'fulfilled') assert.ok(seated.some((seat) => seat.startsWith(`g${index} `)))
      assert.equal(seated.length, joined.length)
      assert.equal((await party.call(cards.all, {})).length, joined.length)
      await party.assertConserved()
    }
  })

  it('takes over although services of the one before had crashed', async () => {
    await using party = await world(before)
    party.crash('seats')
    await party.call(guestsOf(joinedV1).join, ann)
    await party.deploy(after)
    await party.quiet()
    assert.deepEqual(await party.call(seats.all, {}), ['a Lee'])
  })

  it('makes dead letters of events that it does not understand, and a better one redrives them', async () => {
    const joinedBare = event('guest.joined', { version: 1, key: ({ id }) => id, data: V2 })
    const worse = system('party', {
      services: [
        guestsService(joinedBare),
        service(seats, {
          store: seatsV1Store,
          handlers: { all: () => [] },
          subscribe: ({ on }) => [on(joinedBare, () => {})],
        }),
      ],
    })
    await using party = await world(before)
    await party.stop('seats')
    await party.call(guestsOf(joinedV1).join, ann)
    await party.deploy(worse)
    await party.quiet()
    assert.deepEqual(
      (await party.deadLetters()).map(({ error }) => error.code),
      ['EVENT_UNREADABLE'],
    )
    await party.deploy(after)
    assert.deepEqual(
      (await party.redrive()).map(({ outcome }) => outcome),
      ['handled'],
    )
    assert.deepEqual(await party.call(seats.all, {}), ['a Lee'])
  })

  it('is what the gateway serves from then on', async () => {
    await using party = await world(before)
    assert.equal((await party.request('POST', '/guests', { body: bob })).status, 422)
    await party.deploy(after)
    assert.equal((await party.request('POST', '/guests', { body: bob })).status, 204)
    assert.deepEqual((await party.request('GET', '/seats')).body, ['b Ray'])
  })

  it('ends services that it does not have any more', async () => {
    await using party = await world(after)
    await party.deploy(withoutCards())
    await assert.rejects(party.call(cards.all, {}), { code: 'NOT_FOUND' })
    await party.call(guestsOf(joinedV2).join, bob)
    await party.quiet()
    await party.deploy(after)
    await party.quiet()
    assert.deepEqual(await party.call(cards.all, {}), ['Ray, Bob'])
  })

  it('whose migration fails says so, and the one before can come back', async () => {
    await using party = await world(before)
    await party.call(guestsOf(joinedV1).join, ann)
    await party.quiet()
    await assert.rejects(
      party.deploy(
        system('party', { services: [guestsService(joinedV2), seatsV2('ALTER TABLE nothing ADD COLUMN x')] }),
      ),
      { code: 'MIGRATION_FAILED' },
    )
    await party.deploy(before)
    assert.deepEqual(await party.call(seats.all, {}), ['a'])
  })
})

/** The new version without the cards. */
function withoutCards(): System {
  return system('party', { services: [guestsService(joinedV2), seatsV2()] })
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, query, secret, service, system, type CommandContext } from '../../index.ts'
import type { Dispatched } from '../../runtime.ts'
import { call, changedWrites, inWorld, type World } from '../../../test/world.ts'

const Empty = z.object({})
const happened = event('thing.happened', { version: 1, key: () => 'k', data: Empty })

interface Tables {
  rows: { n: number }
}
type Context = CommandContext<Tables, object, 'none', typeof happened>

/** A service whose command `act` does what the test says, and a way to see what that left behind. */
async function acting(
  world: World,
  output: z.ZodType,
  act: (context: Context) => unknown,
  etag?: (output: unknown) => string | number,
) {
  const things = contract('things', {
    events: [happened],
    act: command({ input: Empty, output, ...(etag ? { etag } : {}) }),
    rows: query({ input: Empty, output: z.int() }),
  })
  const keeper = service(things, {
    store: sqlStore<Tables>({ migrations: { '0001-rows': 'CREATE TABLE rows (n INTEGER)' } }),
    handlers: {
      act: (context) => act(context as unknown as Context), // it is one
      rows: async ({ db }) => (await db.selectFrom('rows').selectAll().execute()).length,
    },
  })
  const running = await world.start(system('things', { services: [keeper] }))
  return {
    running,
    act: (idempotencyKey?: string) => running.dispatch('things.act', { input: {}, idempotencyKey }),
    async effects() {
      await running.quiet()
      return {
        rows: await call(running, things.rows, {}),
        events: (await Array.fromAsync(running.admin.events({}))).length,
      }
    },
  }
}

/** Leaves a row and an event, and answers. */
function leaving(answer: unknown) {
  return ({ tx }: Context) =>
    tx(async ({ db, emit }) => {
      await db.insertInto('rows').values({ n: 1 }).execute()
      emit(happened, {})
      return answer
    })
}

/** What the client sees of an answer. */
function shown({ output, etag, position, replayed = false }: Dispatched) {
  return { output, etag, position, replayed }
}

function errorsIn({ logged }: World): string[] {
  // what the runtime logs
  return logged.filter(({ level }) => level === 'error').map(({ fields }) => (fields['error'] as AtollError).code)
}

describe('a command', () => {
  const impossible: Record<string, unknown> = {
    'a bigint': { total: 5n },
    'a date': { at: new Date(0) },
    NaN: [NaN],
    'undefined in a list': [undefined],
    'a map': new Map(),
    'what speaks for itself': {
      toJSON: () => {
        throw new Error('no')
      },
    },
    'a function': { f() {} },
  }
  for (const [what, answer] of Object.entries(impossible)) {
    it(`that would answer what JSON cannot carry does nothing: ${what}`, () =>
      inWorld(async (world) => {
        const { act, effects } = await acting(world, z.any(), leaving(answer))
        for (const key of [undefined, 'k1', 'k1'])
          await assert.rejects(act(key), {
            code: 'ANSWER_INVALID',
            message: /things\.act answered what JSON cannot carry/,
          })
        assert.deepEqual(await effects(), { rows: 0, events: 0 })
      }))
  }

  const etags: Record<string, () => string | number> = {
    throws: () => {
      throw new Error('no version')
    },
    'throws what is no error': () => {
      throw undefined
    },
    'is no number': () => NaN,
    'is nothing': () => undefined as unknown as string,
    'is too long for a header': () => '☕'.repeat(201),
    'is half of a character': () => 'v\ud83d',
  }
  for (const [what, etag] of Object.entries(etags)) {
    it(`whose version ${what} does nothing`, () =>
      inWorld(async (world) => {
        const { act, effects } = await acting(world, z.object({ ok: z.boolean() }), leaving({ ok: true }), etag)
        await assert.rejects(act(), { code: 'ANSWER_INVALID', message: /version of its answer/ })
        assert.deepEqual(await effects(), { rows: 0, events: 0 })
      }))
  }

  it('whose output schema throws does nothing', () =>
    inWorld(async (world) => {
      const { act, effects } = await acting(
        world,
        z.object({ ok: z.boolean() }).transform(() => JSON.parse('{') as object),
        leaving({ ok: true }),
      )
      await assert.rejects(act(), { code: 'ANSWER_INVALID', message: /its output schema threw/ })
      assert.deepEqual(await effects(), { rows: 0, events: 0 })
    }))

  for (const [how, output] of Object.entries({ 'as it is': z.object({ text: z.string() }), copied: z.any() })) {
    it(`whose answer is larger than can be sent to who asked does nothing, and says so: ${how}`, () =>
      inWorld(async (world) => {
        const { running, effects } = await acting(world, output, leaving({ text: 'é'.repeat(40) }))
        const ask = (answerBytesMax: number, idempotencyKey?: string) =>
          running.dispatch('things.act', { input: {}, idempotencyKey, answerBytesMax })
        for (const key of [undefined, 'k1'])
          await assert.rejects(ask(90, key), {
            code: 'ANSWER_TOO_LARGE',
            message: /has 91 bytes; 90 can be sent/,
            details: { effect: 'none' },
          })
        assert.deepEqual(await effects(), { rows: 0, events: 0 })
        const { outputJson, replayed } = await ask(91, 'k1')
        assert.deepEqual([outputJson, replayed], [JSON.stringify({ text: 'é'.repeat(40) }), undefined])
        assert.deepEqual(await effects(), { rows: 1, events: 1 })
      }))
  }

  it('that has committed is answered, whatever its handler does then', async () => {
    const answer = { ok: true }
    const endings: Record<string, (committed: Promise<unknown>, context: Context) => unknown> = {
      INTERNAL: async (committed) => {
        await committed
        throw new TypeError('a bug')
      },
      FORBIDDEN: async (committed) => {
        await committed
        throw new AtollError('FORBIDDEN', 'not yours')
      },
      ANSWER_OUTSIDE_TX: async (committed) => {
        await committed
        return { ok: false }
      },
      TX_REPEATED: async (committed, { tx }) => {
        await committed
        void tx(() => answer)
        return answer
      },
      CONFLICT: (committed) => {
        void committed
        throw new AtollError('CONFLICT', 'before its transaction, which it does not await, has ended')
      },
    }
    for (const [code, ending] of Object.entries(endings)) {
      await inWorld(async (world) => {
        const { act, effects } = await acting(world, z.object({ ok: z.boolean() }), (context) =>
          ending(leaving(answer)(context), context),
        )
        const first = await act('k1')
        assert.deepEqual(first.output, answer)
        assert.deepEqual(shown(await act('k1')), { ...shown(first), replayed: true })
        assert.deepEqual(await effects(), { rows: 1, events: 1 })
        assert.deepEqual(errorsIn(world), [code])
      })
    }
  })

  it('that has committed and does not end is answered when its time is over', () =>
    inWorld(async (world) => {
      const { act } = await acting(world, z.object({ ok: z.boolean() }), async (context) => {
        await leaving({ ok: true })(context)
        await new Promise(() => {})
      })
      const answer = act()
      await world.host.advance(60_000)
      assert.deepEqual((await answer).output, { ok: true })
      assert.deepEqual(errorsIn(world), ['DEADLINE_EXCEEDED'])
    }))

  it('whose time is over in the midst of its commit says that its effect is not known', () =>
    inWorld(async (world) => {
      let gate: Promise<void> | undefined
      const stores = changedWrites(world.stores, async (store, work) => {
        const written = store.write(work)
        await gate
        return written
      })
      const things = contract('things', { act: command({ input: Empty, output: z.void() }) })
      const running = await world.start(
        system('things', {
          services: [service(things, { handlers: { act: async ({ tx }) => void (await tx(() => {})) } })],
        }),
        {},
        { stores },
      )
      let release = (): void => {}
      gate = new Promise<void>((resolve) => (release = resolve))
      const answer = assert.rejects(running.dispatch('things.act', { input: {} }), {
        code: 'DEADLINE_EXCEEDED',
        details: { effect: 'unknown' },
      })
      await world.host.advance(60_000)
      await answer
      release()
    }))

  it('that answers nothing still learns what its transaction returned', () =>
    inWorld(async (world) => {
      let learned: unknown
      const { act } = await acting(world, z.void(), async ({ tx }) => {
        learned = await tx(() => 5)
      })
      for (const key of ['k1', 'k1']) assert.equal((await act(key)).output, undefined)
      assert.equal(learned, 5)
    }))

  it('answers the same when it is replayed, its version too', () =>
    inWorld(async (world) => {
      let version = 0
      const { act } = await acting(
        world,
        z.object({ n: z.number(), any: z.unknown() }),
        leaving({ n: -0, any: [-0, { a: undefined }] }),
        () => ++version,
      )
      const first = await act('k1')
      assert.deepStrictEqual(first.output, { n: 0, any: [0, {}] })
      assert.deepStrictEqual(shown(await act('k1')), { ...shown(first), replayed: true })
    }))
})

describe('an operation', () => {
  it('cannot be declared with what JSON cannot carry, and the refusal says where', () => {
    const shapes: [Omit<Parameters<typeof query>[0], 'http'>, RegExp][] = [
      [
        { input: z.object({ at: z.date() }), output: z.void() },
        /the input of things\.ask, at at: JSON has no dates\. .*z\.coerce\.date\(\)/,
      ],
      [
        { input: z.object({ ids: z.set(z.string()) }), output: z.void() },
        /the input of things\.ask, at ids: JSON has no sets/,
      ],
      [
        { input: Empty, output: z.object({ total: z.bigint() }) },
        /the output of things\.ask, at total: JSON has no bigints/,
      ],
      [
        { input: Empty, output: z.array(z.object({ at: z.date().nullable() })) },
        /the output of things\.ask, at \*\.at: JSON has no dates/,
      ],
    ]
    for (const [shape, message] of shapes) {
      for (const declare of [command, query])
        assert.throws(() => contract('things', { ask: declare(shape) }), { code: 'DEFINITION_INVALID', message })
    }
  })

  it('takes a date as a text, and gives it as one', () =>
    inWorld(async (world) => {
      const days = contract('days', {
        next: query({
          input: z.object({ day: z.coerce.date() }),
          output: z.object({ day: z.date().transform((day) => day.toISOString()) }),
        }),
      })
      const running = await world.start(
        system('days', {
          services: [
            service(days, { handlers: { next: ({ input }) => ({ day: new Date(input.day.getTime() + 86_400_000) }) } }),
          ],
        }),
      )
      assert.deepEqual(await call(running, days.next, { day: '2026-01-01T00:00:00.000Z' }), {
        day: '2026-01-02T00:00:00.000Z',
      })
    }))

  it('refuses what was sent and is not what JSON carries, and names the field', () =>
    inWorld(async (world) => {
      const things = contract('things', { ask: query({ input: z.any(), output: z.any() }) })
      const running = await world.start(
        system('things', { services: [service(things, { handlers: { ask: ({ input }) => input } })] }),
      )
      const unfit: [unknown, string][] = [
        [{ a: [1, NaN] }, 'a.1'],
        [{ a: { b: 1e999 } }, 'a.b'],
        [{ name: 'half of \ud83d' }, 'name'],
        [{ a: { 'half of \ud83d': 1 } }, 'a.half of \ud83d'],
        [{ at: new Date(0) }, 'at'],
        [{ total: 5n }, 'total'],
        [nested(600), Array(500).fill('a').join('.')],
      ]
      for (const [input, field] of unfit) {
        await assert.rejects(running.dispatch('things.ask', { input }), (error: AtollError) => {
          assert.deepEqual(
            [error.code, error.status, Object.keys(error.details['fields'] as object)],
            ['INVALID', 422, [field]],
          )
          return true
        })
      }
    }))
})

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = { a: value }
  return value
}

describe('an Idempotency-Key', () => {
  /** A shop that notes each order, and a way to order under a key. */
  async function ordering(world: World, input: z.ZodType = z.any(), keepAnswers?: boolean, idempotencyKey = 'k1') {
    let orders = 0
    const shop = contract('shop', {
      order: command({ input, output: z.int(), ...(keepAnswers === undefined ? {} : { keepAnswers }) }),
    })
    const running = await world.start(
      system('shop', { services: [service(shop, { handlers: { order: ({ tx }) => tx(() => ++orders) } })] }),
    )
    return (sent: unknown, caller?: string) =>
      running
        .dispatch('shop.order', {
          input: sent,
          idempotencyKey,
          ...(caller === undefined ? {} : { caller: { id: caller, claims: {} } }),
        })
        .then(({ output }) => output)
  }
  const reused = { code: 'IDEMPOTENCY_KEY_REUSED' }

  it('is for what was sent: another body is another request, whatever its schema makes of both', async () => {
    const made: [z.ZodType, unknown, unknown][] = [
      [z.object({ ids: z.array(z.string()).transform((ids) => new Set(ids)) }), { ids: ['a'] }, { ids: ['b'] }],
      [
        z.object({ prices: z.record(z.string(), z.int()).transform((prices) => new Map(Object.entries(prices))) }),
        { prices: { a: 1 } },
        { prices: { a: 2 } },
      ],
      [z.object({ text: z.string().trim() }), { text: 'a' }, { text: ' a' }],
      [z.object({ at: z.coerce.date() }), { at: '2026-01-01' }, { at: '2026-01-02' }],
      [z.object({ total: z.coerce.bigint() }), { total: '1' }, { total: '2' }],
    ]
    for (const [schema, one, other] of made) {
      await inWorld(async (world) => {
        const order = await ordering(world, schema)
        assert.deepEqual([await order(one, 'ann'), await order(one, 'ann')], [1, 1])
        await assert.rejects(order(other, 'ann'), reused)
      })
    }
  })

  it('is for what was sent, also where the schema writes into it', async () => {
    let count = 0
    const stamping = z.preprocess(
      (sent) => Object.assign(sent as object, { id: ++count }),
      z.object({ sku: z.string(), id: z.int() }),
    )
    const forgetting = z.object({
      options: z.any().transform((options: { comment?: string }) => {
        delete options.comment
        return options
      }),
    })
    await inWorld(async (world) => {
      const order = await ordering(world, stamping)
      assert.deepEqual(
        [
          await order({ sku: 'tea' }, 'ann'),
          await order({ sku: 'tea' }, 'ann'),
          await order({ sku: 'tea' }),
          await order({ sku: 'tea' }),
        ],
        [1, 1, 2, 2],
      )
    })
    await inWorld(async (world) => {
      const order = await ordering(world, forgetting)
      assert.equal(await order({ options: { comment: 'one' } }, 'ann'), 1)
      await assert.rejects(order({ options: { comment: 'two' } }, 'ann'), reused)
    })
  })

  it('is for what was sent: the same body is the same request, whatever defaults were added, and in whichever order its fields came', () =>
    inWorld(async (world) => {
      let count = 0
      const order = await ordering(
        world,
        z.object({
          id: z.string().default(() => String(++count)),
          prices: z.record(z.string(), z.object({ cents: z.int(), of: z.string() })).optional(),
        }),
      )
      assert.deepEqual([await order({}, 'ann'), await order({}, 'ann')], [1, 1])
      assert.equal(await order({ id: undefined }, 'ann'), 1)
      const prices = { a: { cents: 1, of: 'x' }, b: { cents: 2, of: 'y' } }
      assert.equal(await order({ prices }, 'ben'), 2)
      assert.equal(await order({ prices: { b: { of: 'y', cents: 2 }, a: { of: 'x', cents: 1 } } }, 'ben'), 2)
    }))

  it("of somebody whom nobody knows is in nobody's way", () =>
    inWorld(async (world) => {
      const order = await ordering(world)
      assert.deepEqual(
        [
          await order({ sku: 'tea' }),
          await order({ sku: 'tea' }),
          await order({ sku: 'rum' }),
          await order({ sku: 'tea' }, ''),
          await order({ sku: 'tea' }, 'ann'),
          await order({ sku: 'rum' }),
        ],
        [1, 1, 2, 3, 4, 2],
      )
    }))

  it('leaves nothing in the store from which what was sent could be guessed', () =>
    inWorld(async (world) => {
      const order = await ordering(world)
      await order({ password: 'hunter2' }, 'ann')
      const store = await world.stores.open('shop', {})
      const row = JSON.stringify(await store.reader.get({ sql: 'SELECT * FROM atoll_answers' }, []))
      assert.ok(!row.includes('k1') && !row.includes('hunter2'), row)
      for (const guess of [
        '["shop.order","k1",{"password":"hunter2"}]',
        '["input","shop.order","{\\"password\\":\\"hunter2\\"}"]',
        '{"password":"hunter2"}',
      ])
        assert.ok(!row.includes(world.host.digest(guess)), 'without the key it cannot be tried')
    }))

  it('has no effect on a command that keeps no answers', () =>
    inWorld(async (world) => {
      const order = await ordering(world, z.any(), false)
      assert.deepEqual([await order({}, 'ann'), await order({}, 'ann')], [1, 2])
    }))

  it("still finds what was recorded before digests were keyed, and is in nobody's way there either", () =>
    inWorld(async (world) => {
      // comes before every digest where keys are in order
      const order = await ordering(world, z.object({ sku: z.string() }), undefined, '!1')
      const store = await world.stores.open('shop', {})
      const insert = {
        sql: `INSERT INTO atoll_answers (operation, caller, key, input_digest, output, position, at) VALUES ('shop.order', ?, '!1', ?, '41', '', 0)`,
      }
      for (const caller of ['ann', ''])
        await store.write(
          async (tx) => void (await tx.run(insert, [caller, world.host.digest('["shop.order","!1",{"sku":"tea"}]')])),
        )
      assert.deepEqual(
        [
          await order({ sku: 'tea' }, 'ann'),
          await order({ sku: 'tea' }),
          await order({ sku: 'rum' }),
          await order({ sku: 'rum' }),
        ],
        [41, 41, 1, 1],
      )
      await assert.rejects(order({ sku: 'rum' }, 'ann'), reused)
    }))
})

describe('a command that answers with a secret', () => {
  it('must say whether its answers are kept', () => {
    const token = secret(z.string()).min(3).optional()
    const Session = z.object({ user: z.object({ tokens: z.array(token) }) })
    for (const output of [
      Session,
      z.union([z.null(), Session]),
      token.transform(String),
      z.string().meta({ secret: true }),
    ]) {
      assert.throws(() => contract('things', { log: command({ input: Empty, output }) }), {
        code: 'DEFINITION_INVALID',
        message: /things\.log answers with a secret/,
      })
      for (const keepAnswers of [true, false])
        assert.equal(
          contract('things', { log: command({ input: Empty, output, keepAnswers }) }).log.keepsAnswers,
          keepAnswers,
        )
      assert.equal(contract('things', { look: query({ input: Empty, output }) }).look.keepsAnswers, false)
    }
    assert.equal(
      contract('things', { change: command({ input: z.object({ password: secret(z.string()) }), output: Empty }) })
        .change.keepsAnswers,
      true,
    )
  })
})

describe('what a client sent and cannot be the key of an event', () => {
  const long = 'x'.repeat(201)
  const about: [string, (input: Record<string, string>) => string, unknown, string | undefined][] = [
    ['is too long', ({ id }) => id!, { id: long }, 'id'],
    ['is empty', ({ id }) => id!, { id: '' }, 'id'],
    ['contains U+0000', ({ id }) => id!, { id: 'a\0' }, 'id'],
    ['is too long beside another field', ({ id, of }) => `${id}/${of}`, { id: 'a', of: long }, 'of'],
    ['is too long in other letters', ({ id }) => id!.toUpperCase(), { of: 'a', id: long }, 'id'],
    ["is the handler's own", () => long, { id: 'a' }, undefined],
    ["is the handler's own and empty", () => '', { id: 'a' }, undefined],
  ]
  for (const [what, key, sent, field] of about) {
    it(`is refused by the name of its field, and nothing happens: it ${what}`, () =>
      inWorld(async (world) => {
        const Doc = z.object({ id: z.string(), of: z.string().optional() })
        const saved = event('doc.saved', { version: 1, key: (data) => key(data as Record<string, string>), data: Doc })
        const docs = contract('docs', { events: [saved], save: command({ input: Doc, output: z.void() }) })
        const running = await world.start(
          system('docs', {
            services: [
              service(docs, {
                handlers: {
                  save: async ({ input, tx }) => {
                    await tx(({ emit }) => emit(saved, input))
                  },
                },
              }),
            ],
          }),
        )
        await assert.rejects(running.dispatch('docs.save', { input: sent }), (error: AtollError) => {
          assert.deepEqual(
            [error.code, error.status, Object.keys(error.details['fields'] ?? {})],
            field === undefined ? ['EVENT_INVALID', 500, []] : ['INVALID', 422, [field]],
          )
          assert.match(error.message, /the key of doc\.saved/)
          return true
        })
        assert.deepEqual(await Array.fromAsync(running.admin.events({})), [])
        if (field === undefined) return
        await assert.rejects(running.dispatch('docs.save', { input: sent, isFromClient: true }), { code: 'INVALID' })
        assert.deepEqual(
          world.logged.filter(({ level }) => level === 'error'),
          [],
          'the client is told all there is to tell',
        )
      }))
  }

  const Parts = z.object({ parts: z.array(z.union([z.string(), z.int()])) })
  const made = event('thing.made', { version: 1, key: ({ key }) => key, data: z.object({ key: z.string() }) })
  const making: [string, (parts: readonly (string | number)[]) => string, (string | number)[]][] = [
    ['joined from many', (parts) => parts.join('/'), Array<string>(50).fill('abcdefgh')],
    ['joined from some long ones', (parts) => parts.join('/'), Array<string>(3).fill('x'.repeat(150))],
    ['joined from numbers', (parts) => parts.join('/'), Array<number>(100).fill(1234)],
    ['encoded', ([part]) => encodeURIComponent(part!), ['ä'.repeat(150)]],
    ['cut off within a character', ([part]) => `${String(part).slice(0, 190)}#`, [`${'x'.repeat(189)}😀`]],
    ['a slug of which nothing is left', ([part]) => String(part).replace(/\W/g, ''), ['!!!']],
    ['joined from an empty list', (parts) => parts.join('/'), []],
    ['of nothing that was sent', () => 'x'.repeat(300), ['y']],
  ]
  for (const [what, keyOf, parts] of making) {
    it(`is no failure of ours, however the key is made of it, but an operator hears of it: ${what}`, () =>
      inWorld(async (world) => {
        const things = contract('things', { events: [made], make: command({ input: Parts, output: z.void() }) })
        const maker = service(things, {
          handlers: {
            make: async ({ input, tx }) => {
              await tx(({ emit }) => emit(made, { key: keyOf(input.parts) }))
            },
          },
        })
        const running = await world.start(system('things', { services: [maker] }))
        await assert.rejects(running.dispatch('things.make', { input: { parts }, isFromClient: true }), {
          code: 'INVALID',
          status: 422,
          message: /the key of thing\.made/,
        })
        const told = world.logged.filter(({ level }) => level === 'error')
        assert.deepEqual(
          told.map(({ fields, message }) => [
            fields['service'],
            fields['event'],
            /made a key of thing\.made/.test(message),
          ]),
          [['things', 'thing.made', true]],
        )
      }))
  }
})

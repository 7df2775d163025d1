import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, query, service, system, type CommandContext } from '../index.ts'
import type { Dispatched } from '../runtime.ts'
import { call, changedWrites, inWorld, type World } from '../../test/world.ts'

const Empty = z.object({})
const happened = event('thing.happened', { version: 1, key: () => 'k', data: Empty })

interface Tables {
  rows: { n: number }
}
type Context = CommandContext<Tables, object, 'none', typeof happened>

/** A service whose command `act` does what the test says, and a way to see what that left behind. */
async function acting(world: World, output: z.ZodType, act: (context: Context) => unknown, etag?: (output: unknown) => string | number) {
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
      return { rows: await call(running, things.rows, {}), events: (await Array.fromAsync(running.admin.events({}))).length }
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
  return logged.filter(({ level }) => level === 'error').map(({ fields }) => (fields['error'] as AtollError).code) // what the runtime logs
}

describe('a command', () => {
  const impossible: Record<string, unknown> = {
    'a bigint': { total: 5n },
    'a date': { at: new Date(0) },
    'NaN': [NaN],
    'undefined in a list': [undefined],
    'a map': new Map(),
    'what speaks for itself': { toJSON: () => { throw new Error('no') } },
    'a function': { f() {} },
  }
  for (const [what, answer] of Object.entries(impossible)) {
    it(`that would answer what JSON cannot carry does nothing: ${what}`, () =>
      inWorld(async (world) => {
        const { act, effects } = await acting(world, z.any(), leaving(answer))
        for (const key of [undefined, 'k1', 'k1']) await assert.rejects(act(key), { code: 'ANSWER_INVALID', message: /things\.act answered what JSON cannot carry/ })
        assert.deepEqual(await effects(), { rows: 0, events: 0 })
      }))
  }

  const etags: Record<string, () => string | number> = {
    'throws': () => { throw new Error('no version') },
    'throws what is no error': () => { throw undefined },
    'is no number': () => NaN,
    'is nothing': () => undefined as unknown as string,
  }
  for (const [what, etag] of Object.entries(etags)) {
    it(`whose version ${what} does nothing`, () =>
      inWorld(async (world) => {
        const { act, effects } = await acting(world, z.object({ ok: z.boolean() }), leaving({ ok: true }), etag)
        await assert.rejects(act(), { code: 'ANSWER_INVALID', message: /version of its answer/ })
        assert.deepEqual(await effects(), { rows: 0, events: 0 })
      }))
  }

  it('that has committed is answered, whatever its handler does then', async () => {
    const answer = { ok: true }
    const endings: Record<string, (committed: Promise<unknown>, context: Context) => unknown> = {
      INTERNAL: async (committed) => { await committed; throw new TypeError('a bug') },
      FORBIDDEN: async (committed) => { await committed; throw new AtollError('FORBIDDEN', 'not yours') },
      ANSWER_OUTSIDE_TX: async (committed) => { await committed; return { ok: false } },
      TX_REPEATED: async (committed, { tx }) => { await committed; void tx(() => answer); return answer },
      CONFLICT: (committed) => { void committed; throw new AtollError('CONFLICT', 'before its transaction, which it does not await, has ended') },
    }
    for (const [code, ending] of Object.entries(endings)) {
      await inWorld(async (world) => {
        const { act, effects } = await acting(world, z.object({ ok: z.boolean() }), (context) => ending(leaving(answer)(context), context))
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
      const { act } = await acting(world, z.object({ ok: z.boolean() }), async (context) => { await leaving({ ok: true })(context); await new Promise(() => {}) })
      const answer = act()
      await world.host.advance(60_000)
      assert.deepEqual((await answer).output, { ok: true })
      assert.deepEqual(errorsIn(world), ['DEADLINE_EXCEEDED'])
    }))

  it('whose time is over in the midst of its commit says that its effect is not known', () =>
    inWorld(async (world) => {
      let gate: Promise<void> | undefined
      const stores = changedWrites(world.stores, async (store, work) => { const written = store.write(work); await gate; return written })
      const things = contract('things', { act: command({ input: Empty, output: z.void() }) })
      const running = await world.start(system('things', { services: [service(things, { handlers: { act: async ({ tx }) => void (await tx(() => {})) } })] }), {}, { stores })
      let release = (): void => {}
      gate = new Promise<void>((resolve) => (release = resolve))
      const answer = assert.rejects(running.dispatch('things.act', { input: {} }), { code: 'DEADLINE_EXCEEDED', details: { effect: 'unknown' } })
      await world.host.advance(60_000)
      await answer
      release()
    }))

  it('that answers nothing still learns what its transaction returned', () =>
    inWorld(async (world) => {
      let learned: unknown
      const { act } = await acting(world, z.void(), async ({ tx }) => { learned = await tx(() => 5) })
      for (const key of ['k1', 'k1']) assert.equal((await act(key)).output, undefined)
      assert.equal(learned, 5)
    }))

  it('answers the same when it is replayed, its version too', () =>
    inWorld(async (world) => {
      let version = 0
      const { act } = await acting(world, z.object({ n: z.number(), any: z.unknown() }), leaving({ n: -0, any: [-0, { a: undefined }] }), () => ++version)
      const first = await act('k1')
      assert.deepStrictEqual(first.output, { n: 0, any: [0, {}] })
      assert.deepStrictEqual(shown(await act('k1')), { ...shown(first), replayed: true })
    }))
})

describe('an operation', () => {
  it('cannot be declared with what JSON cannot carry, and the refusal says where', () => {
    const shapes: [Parameters<typeof query>[0], RegExp][] = [
      [{ input: z.object({ at: z.date() }), output: z.void() }, /the input of things\.ask, at at: JSON has no dates\. .*z\.coerce\.date\(\)/],
      [{ input: z.object({ ids: z.set(z.string()) }), output: z.void() }, /the input of things\.ask, at ids: JSON has no sets/],
      [{ input: Empty, output: z.object({ total: z.bigint() }) }, /the output of things\.ask, at total: JSON has no bigints/],
      [{ input: Empty, output: z.array(z.object({ at: z.date().nullable() })) }, /the output of things\.ask, at \*\.at: JSON has no dates/],
    ]
    for (const [shape, message] of shapes) {
      for (const declare of [command, query]) assert.throws(() => contract('things', { ask: declare(shape) }), { code: 'DEFINITION_INVALID', message })
    }
  })

  it('takes a date as a text, and gives it as one', () =>
    inWorld(async (world) => {
      const days = contract('days', { next: query({ input: z.object({ day: z.coerce.date() }), output: z.object({ day: z.date().transform((day) => day.toISOString()) }) }) })
      const running = await world.start(system('days', { services: [service(days, { handlers: { next: ({ input }) => ({ day: new Date(input.day.getTime() + 86_400_000) }) } })] }))
      assert.deepEqual(await call(running, days.next, { day: '2026-01-01T00:00:00.000Z' }), { day: '2026-01-02T00:00:00.000Z' })
    }))

  it('refuses what was sent and is not what JSON carries, and names the field', () =>
    inWorld(async (world) => {
      const things = contract('things', { ask: query({ input: z.any(), output: z.any() }) })
      const running = await world.start(system('things', { services: [service(things, { handlers: { ask: ({ input }) => input } })] }))
      const unfit: [unknown, string][] = [[{ a: [1, NaN] }, 'a.1'], [{ a: { b: 1e999 } }, 'a.b'], [{ name: 'half of \ud83d' }, 'name'], [{ at: new Date(0) }, 'at'], [{ total: 5n }, 'total'], [nested(600), Array(500).fill('a').join('.')]]
      for (const [input, field] of unfit) {
        await assert.rejects(running.dispatch('things.ask', { input }), (error: AtollError) => {
          assert.deepEqual([error.code, error.status, Object.keys(error.details['fields'] as object)], ['INVALID', 422, [field]])
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

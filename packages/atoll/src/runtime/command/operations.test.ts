import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, forbidden, query, service, show, system } from '../../index.ts'
import { audit, createShop } from '../../../test/shop.ts'
import { call, inWorld, type World } from '../../../test/world.ts'
import { mergePositions } from '../position.ts'

const Empty = z.object({})
const happened = event('thing.happened', { version: 1, key: () => 'k', data: Empty })

/** A system of one service `s` whose operation `act` does what the test says. */
function acting(act: (context: ActContext) => unknown, output: z.ZodType = z.object({ ok: z.boolean() })) {
  const contractOfS = contract('s', {
    events: [happened],
    act: command({ input: Empty, output }),
    read: query({ input: Empty, output: z.object({ rows: z.int() }) }),
  })
  const definition = service(contractOfS, {
    store: sqlStore<{ rows: { n: number } }>({ migrations: { '0001-rows': 'CREATE TABLE rows (n INTEGER)' } }),
    handlers: {
      act: (context) => act(context as unknown as ActContext),
      async read({ db }) {
        return { rows: (await db.selectFrom('rows').selectAll().execute()).length }
      },
    },
  })
  return { system: system('acting', { services: [definition] }), s: contractOfS }
}
type ActContext = Parameters<
  Parameters<typeof service<typeof exampleContract, { rows: { n: number } }>>[1]['handlers']['act']
>[0]
const exampleContract = contract('s', { events: [happened], act: command({ input: Empty, output: z.any() }) })

/** The codes of the errors that were logged. */
function errorsIn({ logged }: World): unknown[] {
  // what the runtime logs
  return logged.filter(({ level }) => level === 'error').map(({ fields }) => (fields['error'] as AtollError).code)
}

describe('an operation', () => {
  it('refuses input that does not fit, naming each field, and drops unknown ones', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await assert.rejects(
        shop.dispatch('book.note', { input: { account: 7, cents: 1.5 } }),
        (error: { code: string; details: { fields: object } }) => {
          assert.equal(error.code, 'INVALID')
          assert.deepEqual(Object.keys(error.details.fields), ['account', 'cents'])
          return true
        },
      )
      assert.deepEqual(
        (await shop.dispatch('book.note', { input: { account: 'a', cents: 1, surplus: true } })).output,
        { account: 'a', count: 1 },
      )
    }))

  it('is refused by name when there is none', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await assert.rejects(shop.dispatch('book.burn', { input: {} }), { code: 'NOT_FOUND' })
    }))

  it('tells its caller the refusal of a handler, and rolls back', () =>
    inWorld(async (world) => {
      const { system, s } = acting(({ tx }) =>
        tx(async ({ db }) => {
          await db.insertInto('rows').values({ n: 1 }).execute()
          throw forbidden('not yours')
        }),
      )
      const running = await world.start(system)
      await assert.rejects(call(running, s.act, {}), { code: 'FORBIDDEN' })
      assert.deepEqual(await call(running, s.read, {}), { rows: 0 })
    }))

  it('rolls back an answer that breaks its contract', () =>
    inWorld(async (world) => {
      const { system, s } = acting(({ tx }) =>
        tx(async ({ db }) => {
          await db.insertInto('rows').values({ n: 1 }).execute()
          return { ok: 'yes' }
        }),
      )
      const running = await world.start(system)
      await assert.rejects(call(running, s.act, {}), { code: 'ANSWER_INVALID' })
      assert.deepEqual(await call(running, s.read, {}), { rows: 0 })
    }))

  it('is answered with what its transaction returned, and something else is only logged', () =>
    inWorld(async (world) => {
      const { system, s } = acting(async ({ tx }) => ({ ...(await tx(() => ({ ok: true }))), ok: false }))
      assert.deepEqual(await call(await world.start(system), s.act, {}), { ok: true })
      assert.deepEqual(errorsIn(world), ['ANSWER_OUTSIDE_TX'])
    }))

  it('is told to return its answer from the transaction when that returned nothing, and is rolled back', () =>
    inWorld(async (world) => {
      const { system, s } = acting(async ({ tx }) => {
        await tx(async ({ db }) => {
          await db.insertInto('rows').values({ n: 1 }).execute()
        })
        return { ok: true }
      })
      const running = await world.start(system)
      await assert.rejects(call(running, s.act, {}), {
        code: 'ANSWER_OUTSIDE_TX',
        message: /returned nothing from its transaction/,
      })
      assert.deepEqual(await call(running, s.read, {}), { rows: 0 })
    }))

  it('may not open a second transaction', () =>
    inWorld(async (world) => {
      const { system, s } = acting(async ({ tx }) => {
        await tx(() => ({ ok: true }))
        return tx(() => ({ ok: false }))
      })
      assert.deepEqual(await call(await world.start(system), s.act, {}), { ok: true })
      assert.deepEqual(errorsIn(world), ['TX_REPEATED'])
    }))

  it('may not wait inside its transaction for anything but the store', () =>
    inWorld(async (world) => {
      const { system, s } = acting(({ tx }) =>
        tx(async ({ db }) => {
          await db.insertInto('rows').values({ n: 1 }).execute()
          await new Promise((resolve) => world.host.turn(() => resolve(undefined)))
          return { ok: true }
        }),
      )
      const running = await world.start(system)
      await assert.rejects(call(running, s.act, {}), { code: 'TX_WAITED' })
      assert.deepEqual(await call(running, s.read, {}), { rows: 0 })
    }))

  it('may not call another service inside its transaction', () =>
    inWorld(async (world) => {
      const { system, s } = acting(({ tx, call }) =>
        tx(async () => {
          await call(s.read, {})
          return { ok: true }
        }),
      )
      await assert.rejects(call(await world.start(system), s.act, {}), { code: 'CALL_IN_TX' })
    }))

  it('does not answer before a transaction that it forgot to await has committed', () =>
    inWorld(async (world) => {
      let committed = false
      const { system, s } = acting(
        ({ tx }) =>
          void tx(async ({ db }) => {
            await db.insertInto('rows').values({ n: 1 }).execute()
          }).then(() => {
            committed = true
          }),
        z.void(),
      )
      const running = await world.start(system)
      await call(running, s.act, {})
      assert.ok(committed)
    }))

  it('fails if a transaction that it forgot to await fails', () =>
    inWorld(async (world) => {
      const { system, s } = acting(
        ({ tx }) =>
          void tx(() => {
            throw forbidden('not yours')
          }),
        z.void(),
      )
      await assert.rejects(call(await world.start(system), s.act, {}), { code: 'FORBIDDEN' })
    }))

  it('may not emit an event that is larger than the log takes', () =>
    inWorld(async (world) => {
      const kept = event('blob.kept', {
        version: 1,
        key: ({ id }) => id,
        data: z.object({ id: z.string(), text: z.string() }),
      })
      const blobs = contract('blobs', {
        events: [kept],
        keep: command({ input: z.object({ id: z.string(), text: z.string() }), output: z.void() }),
      })
      const keeper = service(blobs, {
        handlers: {
          keep: async ({ input, tx }) => {
            await tx(({ emit }) => emit(kept, input))
          },
        },
      })
      const running = await world.start(system('blobs', { services: [keeper] }))
      await assert.rejects(call(running, blobs.keep, { id: 'large', text: '€'.repeat(400_000) }), {
        code: 'EVENT_TOO_LARGE',
        status: 413,
      })
      await call(running, blobs.keep, { id: 'small', text: '€' })
      await running.quiet()
      assert.equal((await Array.fromAsync(running.admin.events({}))).length, 1)
    }))

  it('may not emit after its transaction has ended', () =>
    inWorld(async (world) => {
      const { system, s } = acting(async ({ tx }) => {
        let emitLate = (): void => {}
        await tx(({ emit }) => {
          emitLate = () => emit(happened, {})
          return { ok: true }
        })
        emitLate()
      })
      const running = await world.start(system)
      assert.deepEqual(await call(running, s.act, {}), { ok: true })
      assert.deepEqual(errorsIn(world), ['TX_CLOSED'])
      assert.deepEqual(await Array.fromAsync(running.admin.events({})), [])
    }))

  it('may not emit an event that its contract does not declare', () =>
    inWorld(async (world) => {
      const foreign = event('foreign.thing', { version: 1, key: () => 'k', data: Empty })
      // The compiler refuses this; JavaScript does not.
      const { system, s } = acting(({ tx }) =>
        tx(({ emit }) => {
          emit(foreign as unknown as typeof happened, {})
          return { ok: true }
        }),
      )
      await assert.rejects(call(await world.start(system), s.act, {}), { code: 'EVENT_UNDECLARED' })
    }))

  it('ends when its time runs out, and does not change anything afterwards', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      let aborted = false
      const { system, s } = acting(async ({ tx, signal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        await gate
        return tx(async ({ db }) => {
          await db.insertInto('rows').values({ n: 1 }).execute()
          return { ok: true }
        })
      })
      const running = await world.start(system)
      const answer = assert.rejects(call(running, s.act, {}, { deadlineMs: world.host.monotonicMs() + 100 }), {
        code: 'DEADLINE_EXCEEDED',
      })
      await world.host.advance(200)
      await answer
      assert.ok(aborted)
      release()
      await world.host.advance(1)
      assert.deepEqual(await call(running, s.read, {}), { rows: 0 })
    }))

  it('is cancelled when its caller goes away', () =>
    inWorld(async (world) => {
      const caller = new AbortController()
      const { system, s } = acting(
        ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      )
      const answer = assert.rejects(call(await world.start(system), s.act, {}, { signal: caller.signal }), {
        code: 'CANCELLED',
      })
      caller.abort()
      await answer
    }))
})

describe('a call between services', () => {
  const inner = contract('inner', {
    echo: query({
      input: z.object({ text: z.string() }),
      output: z.object({ text: z.string(), callerId: z.string().optional() }),
      auth: 'optional',
    }),
  })
  const outer = contract('outer', {
    ask: query({
      input: z.object({ text: z.string(), timeoutMs: z.int().optional() }),
      output: z.object({ text: z.string(), callerId: z.string().optional() }),
      auth: 'optional',
    }),
  })
  const build = (echo: (text: string, signal: AbortSignal) => Promise<string>) =>
    system('calls', {
      services: [
        service(inner, {
          handlers: {
            echo: async ({ input, caller, signal }) => ({ text: await echo(input.text, signal), callerId: caller?.id }),
          },
        }),
        service(outer, {
          handlers: {
            ask: ({ input, call }) =>
              call(
                inner.echo,
                { text: input.text },
                input.timeoutMs === undefined ? {} : { timeoutMs: input.timeoutMs },
              ),
          },
        }),
      ],
    })

  it('is typed, validated, and made as the caller', () =>
    inWorld(async (world) => {
      const running = await world.start(build(async (text) => text.toUpperCase()))
      const caller = { id: 'u1', claims: {} }
      assert.deepEqual(await call(running, outer.ask, { text: 'hi' }, { caller }), { text: 'HI', callerId: 'u1' })
    }))

  it('ends at its own limit, and the callee hears of it', () =>
    inWorld(async (world) => {
      let aborted = false
      const running = await world.start(
        build(
          (_, signal) =>
            new Promise((_, reject) =>
              signal.addEventListener('abort', () => {
                aborted = true
                reject(signal.reason)
              }),
            ),
        ),
      )
      const answer = assert.rejects(call(running, outer.ask, { text: 'hi', timeoutMs: 50 }), {
        code: 'DEADLINE_EXCEEDED',
      })
      await world.host.advance(60)
      await answer
      assert.ok(aborted)
    }))

  it('that had no effect does not say so of who made it, who may have had some before', () =>
    inWorld(async (world) => {
      const running = await world.start(
        build(() =>
          Promise.reject(
            new AtollError('UNAVAILABLE', 'nobody is there', { details: { effect: 'none', service: 'inner' } }),
          ),
        ),
      )
      await assert.rejects(call(running, outer.ask, { text: 'hi' }), {
        code: 'UNAVAILABLE',
        details: { service: 'inner' },
      })
    }))

  it('is refused when the service is stopped', () =>
    inWorld(async (world) => {
      const running = await world.start(build(async (text) => text))
      await running.services.get('inner')!.stop()
      await assert.rejects(call(running, outer.ask, { text: 'hi' }), { code: 'UNAVAILABLE' })
    }))
})

describe('an Idempotency-Key', () => {
  it('brings the recorded answer back and does not repeat the effect', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      const request = { input: { account: 'a', cents: 1 }, idempotencyKey: 'k1' }
      const first = await shop.dispatch('book.note', request)
      const second = await shop.dispatch('book.note', request)
      assert.deepEqual(second.output, first.output)
      assert.equal(second.replayed, true)
      assert.deepEqual(second.position, first.position)
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
    }))

  it('is forgotten when its time is over, also if the wall clock was set back meanwhile', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(), { answersKeptMs: 60_000 })
      const note = () => shop.dispatch('book.note', { input: { account: 'a', cents: 1 }, idempotencyKey: 'k1' })
      await note()
      world.host.jump(-3_600_000)
      await world.host.advance(50_000)
      assert.equal((await note()).replayed, true)
      await world.host.advance(150_000)
      assert.notEqual((await note()).replayed, true)
    }))

  it('holds among requests that come at the same time', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      const request = { input: { account: 'a', cents: 1 }, idempotencyKey: 'k1' }
      const answers = await Promise.all(Array.from({ length: 20 }, () => shop.dispatch('book.note', request)))
      assert.equal(answers.filter((answer) => !answer.replayed).length, 1)
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
    }))

  it('brings the recorded answer back, whatever a second run made of what the first one had left', () =>
    inWorld(async (world) => {
      const { system } = acting(({ tx }) =>
        tx(async ({ db }) => {
          if (await db.selectFrom('rows').selectAll().executeTakeFirst()) throw forbidden('there is one already')
          await db.insertInto('rows').values({ n: 1 }).execute()
          return { ok: true }
        }),
      )
      const running = await world.start(system)
      const answers = await Promise.all(
        [1, 2, 3].map(() => running.dispatch('s.act', { input: {}, idempotencyKey: 'k1' })),
      )
      assert.deepEqual(
        answers.map(({ output, replayed = false }) => ({ output, replayed })),
        [false, true, true].map((replayed) => ({ output: { ok: true }, replayed })),
      )
    }))

  it('is refused for another input, and free for another caller', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      const caller = { id: 'ann', claims: {} }
      await shop.dispatch('book.note', { input: { account: 'a', cents: 1 }, idempotencyKey: 'k1', caller })
      await assert.rejects(
        shop.dispatch('book.note', { input: { account: 'a', cents: 2 }, idempotencyKey: 'k1', caller }),
        { code: 'IDEMPOTENCY_KEY_REUSED' },
      )
      const other = await shop.dispatch('book.close', { input: { account: 'a' }, idempotencyKey: 'k1' })
      assert.equal(other.replayed, undefined)
    }))
})

describe('a causal read', () => {
  it('waits until its service has handled what the caller has seen', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      for (let cents = 1; cents <= 50; cents++) {
        const { position } = await shop.dispatch('book.note', { input: { account: 'a', cents } })
        assert.equal((await call(shop, audit.total, { account: 'a' }, { position })).cents.length, cents)
        assert.equal((await call(shop, audit.sums, { account: 'a' }, { position })).cents, (cents * (cents + 1)) / 2)
      }
    }))

  it('waits for an event of its caller that is tried again, also when later ones of theirs are handled already', () =>
    inWorld(async (world) => {
      let failures = 3
      const shop = await world.start(
        createShop(({ account }) => {
          if (account === 'a' && failures-- > 0) throw new Error('not now')
        }),
        { partitions: 1 },
      )
      const first = await shop.dispatch('book.note', { input: { account: 'a', cents: 1 } })
      const second = await shop.dispatch('book.note', { input: { account: 'b', cents: 2 } })
      await world.host.advance(5)
      const answer = call(
        shop,
        audit.total,
        { account: 'a' },
        { position: mergePositions(first.position, second.position) },
      )
      await world.host.advance(2_000)
      assert.deepEqual((await answer).cents, [1])
    }))

  it('gives up within its bound when the service cannot catch up', () =>
    inWorld(async (world) => {
      const shop = await world.start(
        createShop(() => new Promise(() => {})),
        { causalWaitMs: 500 },
      )
      const { position } = await shop.dispatch('book.note', { input: { account: 'a', cents: 1 } })
      const answer = assert.rejects(shop.dispatch('audit.total', { input: { account: 'a' }, position }), {
        code: 'BEHIND',
      })
      await world.host.advance(600)
      await answer
    }))

  it('does not wait for a position of another history', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await call(shop, audit.total, { account: 'a' }, { position: { book: { 3: '999999' }, nobody: { 0: '1' } } })
    }))
})

describe('a command that shows a query', () => {
  const build = (showing: () => Record<string, never> = () => ({})) => {
    const board = contract('board', { count: query({ input: Empty, output: z.object({ count: z.int() }) }) })
    const pen = contract('pen', {
      events: [happened],
      write: command({
        input: Empty,
        output: z.object({ written: z.boolean() }),
        show: show(() => board.count, showing),
      }),
    })
    return system('shown', {
      services: [
        service(pen, {
          handlers: {
            write: ({ tx }) =>
              tx(({ emit }) => {
                emit(happened, {})
                return { written: true }
              }),
          },
        }),
        service(board, {
          store: sqlStore<{ seen: { id: string } }>({ migrations: { '0001-seen': 'CREATE TABLE seen (id TEXT)' } }),
          subscribe: ({ project }) => [
            project(happened, (event, { db }) => db.insertInto('seen').values({ id: event.id }).execute()),
          ],
          handlers: {
            count: async ({ db }) => ({ count: (await db.selectFrom('seen').selectAll().execute()).length }),
          },
        }),
      ],
    })
  }

  it('answers with the query at the position of the command', () =>
    inWorld(async (world) => {
      const running = await world.start(build())
      const { output, outcome } = await running.dispatch('pen.write', { input: {}, show: true })
      assert.deepEqual({ output, outcome }, { output: { count: 1 }, outcome: 'shown' })
    }))

  it('answers with its own output when the service of the query is down', () =>
    inWorld(async (world) => {
      const running = await world.start(build())
      await running.services.get('board')!.stop()
      const { output, outcome } = await running.dispatch('pen.write', { input: {}, show: true })
      assert.deepEqual({ output, outcome }, { output: { written: true }, outcome: 'accepted' })
    }))

  it('answers with its own output when what it shows cannot be asked for', () =>
    inWorld(async (world) => {
      const running = await world.start(
        build(() => {
          throw new TypeError('a bug in show')
        }),
      )
      const { output, outcome } = await running.dispatch('pen.write', { input: {}, show: true })
      assert.deepEqual({ output, outcome }, { output: { written: true }, outcome: 'accepted' })
    }))
})

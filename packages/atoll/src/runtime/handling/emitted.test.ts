import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { z } from 'zod'
import { command, contract, event, service, system, upcast, type EventDefinition } from '../../index.ts'
import { call, inWorld } from '../../../test/world.ts'

/** What became of a value that was emitted: refused where the event is declared, or where it is emitted; or read. */
async function outcomeOf(
  data: z.ZodType,
  given: unknown,
): Promise<{ refused: 'at definition' | 'at emit'; message: string } | { read: unknown }> {
  let said: EventDefinition
  try {
    said = event('thing.said', { version: 1, key: () => 'k', data: z.object({ v: data }) })
  } catch (error) {
    return { refused: 'at definition', message: refusal(error, 'DEFINITION_INVALID') }
  }
  const things = contract('things', { events: [said], say: command({ input: z.object({}), output: z.void() }) })
  let outcome: { read: unknown } | undefined
  let refused: string | undefined
  await inWorld(async (world) => {
    const speaker = service(things, {
      handlers: {
        say: async ({ tx }) => {
          await tx(({ emit }) => emit(said, { v: given }))
        },
      },
      subscribe: ({ on }) => [
        on(said, ({ event }) => {
          outcome = { read: (event.data as { v: unknown }).v }
        }),
      ], // its schema says so
    })
    const running = await world.start(system('things', { services: [speaker] }))
    await call(running, things.say, {}).catch((error: unknown) => {
      refused = refusal(error, 'EVENT_INVALID')
    })
    await running.quiet()
    assert.equal(
      (await Array.fromAsync(running.admin.events({}))).length,
      refused === undefined ? 1 : 0,
      'it is in the log unless it was refused',
    )
    assert.deepEqual(await running.admin.deadLetters(), [])
  })
  return refused === undefined ? outcome! : { refused: 'at emit', message: refused }
}

function refusal(error: unknown, code: string): string {
  assert.ok(error instanceof AtollError && error.code === code, String(error))
  return error.message
}

class Money {
  readonly cents = 5
}

const cents = z.preprocess((euros) => Math.round(Number(euros) * 100), z.int())
const half = '\ud83d'

describe('an event', () => {
  const kept: Record<string, [z.ZodType, unknown]> = {
    'texts, numbers, lists and nothing': [
      z.object({ text: z.string(), count: z.int(), list: z.array(z.boolean()), none: z.null() }),
      { text: 'ä\0', count: 3, list: [true], none: null },
    ],
    'a field that is not there': [z.object({ a: z.string().optional() }), { a: undefined }],
    'a number beyond 2^53': [z.number(), 2 ** 60],
    '-0': [z.number(), -0],
    '-0 in what nobody can see through': [z.unknown(), [-0]],
    'half of a surrogate pair': [z.string(), half],
    'a key that is half of a surrogate pair': [z.record(z.string(), z.int()), { [half]: 1 }],
    'a record with numbers for keys': [z.record(z.string(), z.int()), { 2: 1, 1: 2, a: 3 }],
    'a text that is trimmed': [z.string().trim(), ' x '],
    'a default': [z.string().default('x'), undefined],
    'coerced numbers': [z.coerce.number(), '5'],
    'a list of what may be missing, with nothing missing': [z.array(z.string().optional()), ['x']],
    'a tuple whose end is missing': [z.tuple([z.string(), z.int().optional()]), ['x']],
    'anything, if JSON carries it': [z.any(), { a: [1, { b: null }] }],
    'what a refinement of an object only looks at': [
      z.object({ from: z.int(), to: z.int() }).refine(({ from, to }) => from <= to),
      { from: 1, to: 2 },
    ],
    'variants by a discriminator': [
      z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('a'), n: z.int() }),
        z.object({ kind: z.literal('b') }),
      ]),
      { kind: 'b' },
    ],
    'a schema that contains itself': [recursive(), { name: 'a', children: [{ name: 'b', children: [] }] }],
    'a custom check of a text': [z.custom<string>((value) => typeof value === 'string'), 'x'],
  }
  for (const [what, [schema, given]] of Object.entries(kept)) {
    it(`is read as it was emitted: ${what}`, async () => {
      const outcome = await outcomeOf(schema, given)
      assert.ok('read' in outcome, JSON.stringify(outcome))
      const emitted: unknown = z.object({ v: schema }).parse({ v: given }).v
      if (!(what === 'a field that is not there')) assert.deepStrictEqual(outcome.read, emitted)
      else assert.deepEqual(outcome.read, {})
    })
  }

  const refusedAtDefinition: Record<string, z.ZodType> = {
    'a transform': z.string().transform(Number),
    'a transform into a pipe': z
      .string()
      .transform((text) => `${text}!`)
      .pipe(z.string()),
    'a preprocess': cents,
    'a preprocess deep within': z.array(z.union([z.null(), z.object({ cents: cents.optional() })])),
    'a codec': z.codec(z.string(), z.number(), { decode: Number, encode: String }),
    'a switch of texts': z.stringbool(),
    'a date': z.date(),
    'a date that is coerced': z.coerce.date(),
    'a bigint': z.bigint(),
    'a literal bigint': z.literal(5n),
    'a map': z.map(z.string(), z.string()),
    'a set': z.set(z.string()),
    'a file': z.file(),
    NaN: z.nan(),
    'a symbol': z.symbol(),
    'an instance of a class': z.instanceof(Money),
  }
  for (const [what, schema] of Object.entries(refusedAtDefinition)) {
    it(`cannot be declared with ${what}, and the refusal says where`, async () => {
      const outcome = await outcomeOf(schema, undefined)
      assert.ok('refused' in outcome && outcome.refused === 'at definition', JSON.stringify(outcome))
      assert.match(outcome.message, /event thing\.said, at v/)
    })
  }

  const refusedAtEmit: Record<string, [z.ZodType, unknown]> = {
    'an overwrite that goes on': [z.number().overwrite((n) => n * 100), 5],
    'an overwrite that another schema wraps': [
      z.array(z.object({ n: z.number().overwrite((n) => n + 1) })).nullable(),
      [{ n: 1 }],
    ],
    'what a check puts in its place': [
      z.string().check((context) => {
        context.value += '!'
      }),
      'x',
    ],
    'a list that a refinement turns round': [
      z.object({ lines: z.array(z.int()) }).refine(({ lines }) => lines.reverse().length > 0),
      { lines: [1, 2, 3] },
    ],
    'a list with fields of its own': [z.any(), Object.assign([1], { total: 1 })],
    'a list that speaks for itself': [z.any(), Object.assign([1], { toJSON: () => [2] })],
    'a list with a symbol': [z.any(), { deep: Object.assign([1], { [Symbol('s')]: 1 }) }],
    'a field with a symbol for its name': [z.any(), { a: 1, [Symbol('s')]: 2 }],
    'a field that is hidden': [z.any(), Object.defineProperty({ a: 1 }, 'b', { value: 2 })],
    'a success': [z.success(z.string()), 'x'],
    'undefined in a list': [z.array(z.string().optional()), ['x', undefined]],
    'a hole in a list': [z.array(z.string().optional()), Array(1)],
    'undefined in a tuple': [z.tuple([z.string(), z.string().optional()]), ['x', undefined]],
    'undefined in the rest of a tuple': [z.tuple([z.string()], z.string().optional()), ['x', undefined]],
    'undefined where anything must be': [z.any(), undefined],
    'undefined in a list of anything': [z.unknown(), [undefined]],
    'what another variant takes the second time': [
      z.union([z.object({ a: z.string(), c: z.int().optional() }), z.object({ a: z.string(), b: z.string() })]),
      { a: 'x', b: 'y', c: 'no number' },
    ],
    'what the end of a pipe drops': [
      z
        .unknown()
        .refine((value) => JSON.stringify(value).includes('b'))
        .pipe(z.object({ a: z.string() })),
      { a: 'x', b: 'y' },
    ],
    'a default that its own schema refuses': [z.string().min(3).default('x'), undefined],
    NaN: [z.unknown(), NaN],
    Infinity: [z.unknown(), { deep: [Infinity] }],
    'a date': [z.unknown(), new Date(0)],
    'a map': [z.unknown(), new Map([['a', 1]])],
    'a set': [z.unknown(), new Set([1])],
    'a bigint': [z.unknown(), 5n],
    'a file': [z.unknown(), new File(['x'], 'x')],
    bytes: [z.unknown(), new Uint8Array([1])],
    'an instance of a class': [z.unknown(), new Money()],
    'a text that is an object': [z.unknown(), Object('x')],
    'what speaks for itself': [z.unknown(), { toJSON: () => 'other' }],
    'a function': [z.unknown(), { f() {} }],
    'what contains itself': [z.unknown(), containsItself()],
    'a text on which its schema throws': [z.string().refine((text) => new URL(text).port === ''), 'nowhere'],
  }
  for (const [what, [schema, given]] of Object.entries(refusedAtEmit)) {
    it(`is not emitted with ${what}`, async () => {
      const outcome = await outcomeOf(schema, given)
      assert.ok('refused' in outcome && outcome.refused === 'at emit', JSON.stringify(outcome))
      assert.match(outcome.message, /thing\.said cannot be read as it is emitted/)
    })
  }

  it('is refused as a timer as well, when it is set', () =>
    inWorld(async (world) => {
      const said = event('thing.said', {
        version: 1,
        key: () => 'k',
        data: z.object({ n: z.number().overwrite((n) => n * 2) }),
      })
      const things = contract('things', { events: [said], say: command({ input: z.object({}), output: z.void() }) })
      const speaker = service(things, {
        handlers: {
          say: async ({ tx }) => {
            await tx(({ schedule }) => {
              schedule(said, { n: 1 }, { afterMs: 1 })
            })
          },
        },
      })
      await assert.rejects(call(await world.start(system('things', { services: [speaker] })), things.say, {}), {
        code: 'EVENT_INVALID',
      })
    }))

  it('is nothing at all only where that is refused', () =>
    inWorld(async (world) => {
      const said = event('thing.said', { version: 1, key: () => 'k', data: z.string().optional() })
      const things = contract('things', { events: [said], say: command({ input: z.object({}), output: z.void() }) })
      const speaker = service(things, {
        handlers: {
          say: async ({ tx }) => {
            await tx(({ emit }) => emit(said, undefined))
          },
        },
      })
      await assert.rejects(call(await world.start(system('things', { services: [speaker] })), things.say, {}), {
        code: 'EVENT_INVALID',
      })
    }))

  it('that an upcaster made is held to the same: what could not have been emitted is not read', () =>
    inWorld(async (world) => {
      const V1 = z.object({ at: z.string() })
      const before = event('thing.said', { version: 1, key: () => 'k', data: V1 })
      const declare = (lift: (old: z.output<typeof V1>) => unknown, data: z.ZodType) =>
        event('thing.said', {
          version: 2,
          key: () => 'k',
          data: z.object({ at: data }),
          upcasters: { 1: upcast(V1, lift) },
        })
      const build = (said: EventDefinition, reads: unknown[]) => {
        const things = contract('things', { events: [said], say: command({ input: z.object({}), output: z.void() }) })
        const speaker = service(things, {
          handlers: {
            say: async ({ tx }) => {
              await tx(({ emit }) => emit(said, { at: '2026-01-01' }))
            },
          },
          subscribe: ({ on }) => [on(said, ({ event }) => void reads.push(event.data))],
        })
        return { system: system('things', { services: [speaker] }), things }
      }
      const source = contract('things', { events: [before], say: command({ input: z.object({}), output: z.void() }) })
      const alone = service(source, {
        handlers: {
          say: async ({ tx }) => {
            await tx(({ emit }) => emit(before, { at: '2026-01-01' }))
          },
        },
      })
      const first = await world.start(system('things', { services: [alone] }))
      await call(first, source.say, {})
      await first.stop()

      const reads: unknown[] = []
      const dated = await world.start(
        build(
          declare(({ at }) => ({ at: new Date(at) }), z.unknown()),
          reads,
        ).system,
      )
      await dated.quiet()
      const [letter] = await dated.admin.deadLetters()
      assert.equal(letter?.error.code, 'EVENT_UNREADABLE')
      assert.match(letter.error.message, /at: an instance of Date/)
      await dated.stop()

      const mended = await world.start(
        build(
          declare(({ at }) => ({ at: `${at}T00:00` }), z.unknown()),
          reads,
        ).system,
      )
      await Array.fromAsync(mended.admin.redrive({}))
      assert.deepEqual(reads, [{ at: '2026-01-01T00:00' }])
    }))
})

function recursive(): z.ZodType {
  const Node = z.object({
    name: z.string(),
    get children() {
      return z.array(Node)
    },
  })
  return Node
}

function containsItself(): unknown {
  const ring: Record<string, unknown> = {}
  ring['self'] = ring
  return ring
}

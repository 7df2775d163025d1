import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createMemoryLog } from '@atoll/log/memory'
import { createSqliteStores } from '@atoll/store/sqlite'
import { command, contract, query, service, system } from 'atoll'
import { startSystem, type RunningSystem } from 'atoll/runtime'
import { z } from 'zod'
import { createCallClient, createCallServer } from './index.ts'

const Any = z.object({ v: z.unknown().optional() })
const given = new Map<string, unknown>()
const callee = contract('callee', {
  take: query({ input: Any, output: z.string() }),
  give: query({ input: z.object({ name: z.string() }), output: Any }),
  make: command({ input: z.object({ name: z.string() }), output: Any, etag: () => 'v1' }),
  day: query({
    input: z.object({ at: z.coerce.date() }),
    output: z.object({ at: z.date().transform((at) => at.toISOString()) }),
  }),
  spoil: query({ input: Any, output: z.void() }),
})
const caller = contract('caller', {
  ask: query({
    input: z.object({ how: z.enum(['take', 'give', 'make', 'day', 'spoil']), name: z.string() }),
    output: z.string(),
  }),
})

const town = system('town', {
  services: [
    service(callee, {
      handlers: {
        take: ({ input }) => describeValue(input),
        give: ({ input }) => ({ v: given.get(input.name) }),
        make: ({ input, tx }) => tx(() => ({ v: given.get(input.name) })),
        day: ({ input }) => input,
        spoil: ({ input }) => void ((input.v as { spoilt?: true }).spoilt = true), // if there is an object to spoil
      },
    }),
    service(caller, {
      handlers: {
        async ask({ input: { how, name }, call }) {
          const v = given.get(name)
          if (how === 'take') return call(callee.take, { v })
          if (how === 'day') return describeValue(await call(callee.day, { at: v }))
          if (how === 'spoil') return describeValue([await call(callee.spoil, { v }), v])
          return describeValue(await call(callee[how], { name }))
        },
      },
    }),
  ],
})

/** Everything that a handler could see of a value. */
function describeValue(value: unknown): string {
  if (Array.isArray(value)) return `[${Array.from(value, describeValue).join()}]`
  if (typeof value === 'object' && value !== null)
    return `${value.constructor?.name}{${Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => `${name}:${describeValue(field)}`)
      .join()}}`
  return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`
}

/** The same system twice: its two services in one process, and in two. */
async function inBoth(
  work: (
    ask: (how: z.output<typeof Ask>['how'], value: unknown) => Promise<[inOne: string, inTwo: string]>,
  ) => Promise<void>,
): Promise<void> {
  const host = createNodeHost()
  const keepAlive = setInterval(() => {}, 2 ** 30) // the host's timers do not keep a process
  const ports = () => ({
    host,
    log: createMemoryLog(),
    logger: silentLogger,
    stores: createSqliteStores({ folder: ':memory:', host }),
  })
  const both = await startSystem(town, ports())
  const calleeAlone = await startSystem(town, ports(), { services: ['callee'] })
  const server = createCallServer(calleeAlone, {
    host,
    logger: silentLogger,
    trustEveryLocalAccount: true,
    limits: { lingerMs: 0 },
  })
  const { url } = await server.listen({ port: 0, host: '127.0.0.1' })
  const calls = createCallClient(town, {
    host,
    logger: silentLogger,
    discovery: {
      instances: () => [{ id: 'one', url }],
      watch: () => () => {},
      problem: undefined,
      close: async () => {},
    },
  })
  const callerAlone = await startSystem(town, { ...ports(), calls }, { services: ['caller'] })
  const ask = (running: RunningSystem, how: string): Promise<string> =>
    running.dispatch('caller.ask', { input: { how, name: 'v' } }).then(
      ({ output }) => String(output),
      (error: AtollError) => error.message,
    )
  try {
    await work(async (how, value) => {
      given.set('v', value)
      return [await ask(both, how), await ask(callerAlone, how)]
    })
  } finally {
    await calls.close()
    await server.close({ drainMs: 0 })
    for (const running of [callerAlone, calleeAlone, both]) await running.stop({ drainMs: 0 })
    clearInterval(keepAlive)
  }
}
const Ask = caller.ask.input

describe('a call is the same in one process and in two', () => {
  const values: unknown[] = [
    'text',
    5,
    -0,
    null,
    undefined,
    true,
    [1, [2]],
    { a: { b: undefined, c: 'x' } },
    2 ** 60,
    '\0',
    NaN,
    Infinity,
    5n,
    new Date(0),
    new Map([['a', 1]]),
    new Set([1]),
    [undefined],
    Array(2),
    new Uint8Array([1]),
    { toJSON: () => 'other' },
    Object('x'),
    Symbol('x'),
    () => {},
    new (class Money {
      cents = 5
    })(),
    Object.create({ inherited: 1 }),
    'half \ud83d',
    new Error('x'),
  ]

  it('whatever it is made with, or answered', () =>
    inBoth(async (ask) => {
      for (const value of values) {
        for (const how of ['take', 'give', 'make'] as const) {
          const [inOne, inTwo] = await ask(how, value)
          assert.equal(inOne, inTwo, `${how} ${describeValue(value)}`)
        }
      }
      assert.match(
        (await ask('take', new Date(0)))[1],
        /^INVALID: callee\.take cannot be asked for with that\. v: an instance of Date/,
      )
      assert.match(
        (await ask('give', 5n))[1],
        /^ANSWER_INVALID: callee\.give answered what JSON cannot carry\. v: a bigint/,
      )
    }))

  it('with dates, which are texts on their way', () =>
    inBoth(async (ask) => {
      assert.deepEqual(await ask('day', '2026-01-01'), [
        'Object{at:string 2026-01-01T00:00:00.000Z}',
        'Object{at:string 2026-01-01T00:00:00.000Z}',
      ])
      for (const answer of await ask('day', new Date(0))) assert.match(answer, /INVALID: .*at: an instance of Date/)
    }))

  it('with objects, of which the callee has a copy', () =>
    inBoth(async (ask) => {
      assert.deepEqual(await ask('spoil', { a: 1 }), [
        '[undefined undefined,Object{a:number 1}]',
        '[undefined undefined,Object{a:number 1}]',
      ])
    }))
})

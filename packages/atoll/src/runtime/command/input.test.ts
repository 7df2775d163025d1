import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, service, system } from '../../index.ts'
import { inWorld, type World } from '../../../test/world.ts'

/** Asks a command with this schema for this, and resolves with what it was refused with. */
async function refusal({ start }: World, input: z.ZodType, sent: unknown, times = 1): Promise<AtollError> {
  const things = contract('things', { act: command({ input, output: z.object({}) }) })
  const running = await start(
    system('things', {
      services: [service(things, { store: sqlStore({ migrations: {} }), handlers: { act: () => ({}) } })],
    }),
  )
  let refused: unknown
  for (let time = 0; time < times; time++)
    refused = await running.dispatch('things.act', { input: sent }).then(
      () => assert.fail('it was taken'),
      (error: unknown) => error,
    )
  await running.stop()
  assert.ok(refused instanceof AtollError)
  return refused
}

const parsed = z.string().transform((text) => JSON.parse(text) as unknown)

describe('an input on which its schema throws', () => {
  const throwing: Readonly<Record<string, readonly [z.ZodType, unknown, string]>> = {
    'a transform': [z.object({ good: z.string(), bad: parsed }), { good: '{', bad: '{' }, 'bad'],
    'a refinement': [
      z.object({ url: z.string().refine((text) => new URL(text).protocol === 'https:') }),
      { url: 'nowhere' },
      'url',
    ],
    'a preprocessor': [
      z.object({ n: z.preprocess((text) => BigInt(String(text)).toString(), z.string()) }),
      { n: 'x' },
      'n',
    ],
    'a super-refinement': [
      z.object({ a: z.object({ b: z.string().superRefine((text) => void decodeURIComponent(text)) }) }),
      { a: { b: '%' } },
      'a.b',
    ],
    'one in a list': [z.object({ list: z.array(parsed).optional() }), { list: ['1', '{'] }, 'list.1'],
    'one of the whole': [
      z.object({ text: z.string() }).transform(({ text }) => JSON.parse(text) as object),
      { text: '{' },
      '',
    ],
  }
  for (const [what, [schema, sent, field]] of Object.entries(throwing)) {
    it(`is its sender's to mend, by the name of the field: ${what}`, () =>
      inWorld(async (world) => {
        const { code, details } = await refusal(world, schema, sent)
        assert.deepEqual([code, details], ['INVALID', { fields: { [field]: ['cannot be read'] } }])
      }))
  }

  it('is told to the author of the schema with its error, and once, however often it comes', () =>
    inWorld(async (world) => {
      const { message } = await refusal(world, z.object({ bad: parsed }), { bad: 'hush' }, 100)
      assert.ok(!message.includes('hush'), 'the sender hears nothing of the inside')
      const told = world.logged.filter(({ level }) => level === 'error')
      assert.equal(told.length, 1)
      assert.match(told[0]!.message, /the input schema of things\.act threw/)
      assert.match(String(told[0]!.fields['error']), /SyntaxError|hush/)
    }))

  it('is ours where the schema throws whatever was sent, and what the schema says where it says so', () =>
    inWorld(async (world) => {
      const { code } = await refusal(
        world,
        z.object({
          a: z
            .string()
            .refine((text) => (globalThis as unknown as { notThere: (text: string) => boolean }).notThere(text)),
        }),
        { a: 'x' },
      )
      assert.equal(code, 'INVALID', 'nobody can tell that from what a value did')
      assert.equal(
        (
          await refusal(
            world,
            z.object({
              a: z.string().refine(() => {
                throw new ReferenceError('gone is not defined')
              }),
            }),
            { a: 'x' },
          )
        ).code,
        'INTERNAL',
      )
      assert.equal(
        (await refusal(world, z.object({ a: z.string().refine(async () => true) }), { a: 'x' })).code,
        'INTERNAL',
      )
      assert.equal(
        (
          await refusal(
            world,
            z.object({
              a: z.string().refine(() => {
                throw new AtollError('FORBIDDEN', 'not you')
              }),
            }),
            { a: 'x' },
          )
        ).code,
        'FORBIDDEN',
      )
    }))
})

describe('what was sent', () => {
  const schemas: Readonly<Record<string, z.ZodType>> = {
    'its schema': z.preprocess(
      (sent) => Object.assign(sent as object, { changed: true }),
      z.object({ list: z.array(z.int()) }),
    ),
    'a handler that is given it': z.looseObject({ list: z.any() }),
    'a handler that is given what its schema made of it': z.object({ list: z.array(z.int()) }),
  }
  for (const [who, input] of Object.entries(schemas)) {
    it(`stays as it is, so that it can be sent again: ${who} changes a copy`, () =>
      inWorld(async ({ start }) => {
        const things = contract('things', { act: command({ input, output: z.object({}) }) })
        const changing = service(things, {
          handlers: {
            act: ({ input }) => {
              ;(input as { list: number[] }).list.push(2)
              return {}
            },
          },
        }) // each schema gives that
        const running = await start(system('things', { services: [changing] }))
        const sent = { list: [1] }
        await running.dispatch('things.act', { input: sent })
        assert.deepEqual(sent, { list: [1] })
      }))
  }
})

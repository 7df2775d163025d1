import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { judge } from './judgement.ts'

describe('the judgement of a schema', () => {
  it('costs an event nothing at each emit if its data are plain', () => {
    const plain = z.object({
      id: z.uuid(),
      name: z.string().min(1).max(9).regex(/x/),
      at: z.iso.datetime(),
      email: z.email().optional(),
      is: z.boolean().nullable(),
      kind: z.enum(['a', 'b']),
      tags: z.array(z.string().refine((tag) => tag !== '')).max(5),
      labels: z.record(z.string(), z.string()).readonly(),
      one: z.literal(['x', 1]),
      either: z.union([z.string(), z.boolean()]),
    })
    assert.equal(judge(plain, 'event', 'x'), 'as it is')
    assert.equal(judge(plain, 'output', 'x'), 'as it is')
  })

  it('costs a look where there are numbers, or lists in which something may be missing', () => {
    for (const schema of [z.object({ n: z.int() }), z.array(z.string().optional()), z.tuple([z.string().optional()])])
      assert.equal(judge(schema, 'event', 'x'), 'looked at')
  })

  it('costs a look where a constant is a number that JSON does not have, or 0, which may be -0', () => {
    for (const schema of [
      z.literal([0, 1]),
      z.enum({ none: 0, some: 1 }),
      z.literal([1, Infinity]),
      z.literal(NaN),
      z.enum({ ever: -Infinity }),
    ]) {
      for (const role of ['event', 'output'] as const)
        assert.equal(judge(z.object({ limit: schema }), role, 'x'), 'looked at')
    }
  })

  it('costs a second parse where code sees an object or a list, which it may change', () => {
    const trustOf = (schema: z.ZodType) => judge(z.object({ it: schema.refine(() => true) }), 'event', 'x')
    for (const schema of [
      z.object({ lines: z.array(z.int()) }),
      z.array(z.string()),
      z.record(z.string(), z.string()),
      z.object({}).nullable(),
      z.tuple([z.string()]),
    ])
      assert.equal(trustOf(schema), 'parsed again')
    for (const schema of [z.string(), z.boolean().nullable(), z.enum(['a']), z.uuid().optional()])
      assert.equal(trustOf(schema), 'as it is')
  })

  it('does not hold against an output what only a second parse would change', () => {
    const shown = z.object({
      cents: z.date().transform((date) => date.toISOString()),
      size: z.preprocess(String, z.string()),
    })
    assert.doesNotThrow(() => judge(shown, 'output', 'x'))
    assert.throws(() => judge(shown, 'event', 'x'), { code: 'DEFINITION_INVALID' })
  })

  it('asks of an input what can be sent, whatever becomes of it', () => {
    const taken = z.object({
      ids: z.array(z.string()).transform((ids) => new Set(ids)),
      at: z.coerce.date(),
      total: z.coerce.bigint(),
      day: z.codec(z.iso.date(), z.date(), { decode: (day) => new Date(day), encode: (day) => day.toISOString() }),
    })
    assert.doesNotThrow(() => judge(taken, 'input', 'x'))
    for (const schema of [z.date(), z.set(z.string()), z.bigint(), z.file(), z.date().transform(String)]) {
      assert.throws(() => judge(z.object({ a: z.array(schema).optional() }), 'input', 'the input of s.act'), {
        code: 'DEFINITION_INVALID',
        message: /the input of s\.act, at a\.\*: JSON has no/,
      })
    }
  })

  it('comes to an end where a schema contains itself, or names one that is not there yet', () => {
    const Node = z.object({
      get next() {
        return Node.optional()
      },
    })
    assert.equal(judge(Node, 'event', 'x'), 'parsed again')
    assert.equal(
      judge(
        z.lazy(() => {
          throw new ReferenceError('not yet')
        }),
        'event',
        'x',
      ),
      'parsed again',
    )
  })
})

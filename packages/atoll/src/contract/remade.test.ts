import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { isRemade } from './remade.ts'

const plain = z.object({
  id: z.uuid(),
  lines: z.array(z.object({ sku: z.string(), count: z.coerce.number().int() })).optional(),
})

describe('what was sent', () => {
  it('costs no copy where its schema makes all of it anew, also if code follows', () => {
    const Node = z.object({
      text: z.string(),
      get next() {
        return Node.optional()
      },
    })
    const schemas = [
      plain,
      plain.strict(),
      plain.refine(() => true).transform(({ id }) => id),
      Node,
      z.tuple([z.string()], plain),
      z.record(z.string(), plain).readonly(),
      z.union([plain, z.null()]),
      z.intersection(plain, z.object({})),
      z.object({
        ids: z
          .array(z.string())
          .transform((ids) => new Set(ids))
          .default(new Set<string>()),
        at: z.coerce.date(),
        url: z.string().refine(URL.canParse),
      }),
    ]
    for (const schema of schemas) assert.ok(isRemade(schema), schema.type)
  })

  it('is copied where code of its schema, or a handler, gets a part of it as it came', () => {
    const schemas: Readonly<Record<string, z.ZodType>> = {
      any: z.any(),
      unknown: z.unknown(),
      custom: z.custom(),
      'a preprocessor': z.preprocess((sent) => sent, plain),
      'a transform of anything': z.any().transform(String),
      'a loose object': plain.loose(),
      'a catchall': plain.catchall(z.unknown()),
      'a loose record': z.looseRecord(z.string().startsWith('x'), z.string()),
      'a catch': z.string().catch(() => ''),
      'a schema that is not there yet': z.lazy(() => {
        throw new ReferenceError('not yet')
      }),
    }
    for (const [what, schema] of Object.entries(schemas)) {
      assert.ok(!isRemade(schema), what)
      for (const around of [
        z.array(schema),
        z.object({ it: schema.optional() }),
        z.tuple([schema]),
        z.tuple([z.string()], schema),
        z.union([z.string(), schema]),
        z.record(z.string(), schema),
        z.lazy(() => schema),
        z.intersection(plain, schema),
        schema.pipe(z.any()),
      ])
        assert.ok(!isRemade(around), `${what}, in ${around.type}`)
    }
  })
})

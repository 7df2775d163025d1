import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { command, contract, query, service, show } from '../index.ts'

describe('an operation', () => {
  it('is refused when an operation has an answer, and a status that says there is nothing to read', () => {
    for (const status of [204, 205]) {
      const refusal = {
        code: 'DEFINITION_INVALID',
        message: new RegExp(`status ${status} of POST /x says that there is nothing to read`),
      }
      const input = z.object({})
      for (const output of [z.object({ a: z.string() }), z.string().optional(), z.any()])
        assert.throws(() => command({ http: 'POST /x', input, output, status }), refusal)
      const read = contract('things', { read: query({ input, output: z.string() }) }).read
      assert.throws(
        () =>
          command({
            http: 'POST /x',
            input,
            output: z.void(),
            status,
            show: show(
              () => read,
              () => ({}),
            ),
          }),
        refusal,
      )
      assert.equal(command({ http: 'POST /x', input, output: z.void(), status }).status, status)
    }
  })

  it('is refused when an operation is called as something else of its contract', () => {
    const read = query({ input: z.object({}), output: z.any() })
    for (const name of ['contract', 'events', 'errors', '__proto__']) {
      const definition = Object.defineProperty({}, name, { value: read, enumerable: true })
      assert.throws(() => contract('things', definition), {
        code: 'DEFINITION_INVALID',
        message: new RegExp(`cannot be called '${name}'`),
      })
    }
  })

  it('is refused when an operation has no handler, though it is called as something that every object has', () => {
    for (const name of ['toString', 'valueOf', 'hasOwnProperty', 'constructor']) {
      const things = contract('things', { [name]: query({ input: z.object({}), output: z.any() }) })
      assert.throws(() => service(things, { handlers: {} }), {
        code: 'DEFINITION_INVALID',
        message: new RegExp(`no handler for things\\.${name}`),
      })
      assert.equal(typeof service(things, { handlers: { [name]: () => 1 } }).handlers[name], 'function')
    }
  })
})

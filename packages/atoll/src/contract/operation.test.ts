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
        assert.throws(() => command({ http: 'POST /x', auth: 'none', input, output, status }), refusal)
      const read = contract('things', { read: query({ input, output: z.string() }) }).read
      assert.throws(
        () =>
          command({
            http: 'POST /x',
            auth: 'none',
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
      assert.equal(command({ http: 'POST /x', auth: 'none', input, output: z.void(), status }).status, status)
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

describe('an operation at the gateway', () => {
  const shape = { input: z.object({}), output: z.void() }

  it('is refused if it does not say who may call it; one for other services need not', () => {
    for (const define of [command, query])
      assert.throws(() => define({ http: 'POST /x', ...shape }), {
        code: 'DEFINITION_INVALID',
        message: /POST \/x does not say who may call it: give auth: 'none'/,
      })
    for (const auth of ['none', 'optional', 'user'] as const)
      assert.equal(command({ http: 'POST /x', auth, ...shape }).auth, auth)
    assert.equal(command(shape).auth, 'none')
  })

  it('is refused if it is a command under GET', () => {
    // which its type says as well
    const http = 'GET /x' as 'POST /x'
    assert.throws(() => command({ http, auth: 'user', ...shape }), {
      code: 'DEFINITION_INVALID',
      message: /GET \/x is a command, and GET must change nothing/,
    })
    assert.equal(query({ http, auth: 'user', ...shape }).http, http)
  })
})

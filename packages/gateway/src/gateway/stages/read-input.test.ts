import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

const json = { 'content-type': 'application/json' }

describe('the input of an operation', () => {
  it('lets a path parameter beat the body, and the body the query string', () =>
    inSystem(async ({ send }) => {
      const { json: echoed } = await send({
        method: 'PUT',
        url: '/echo/path?id=query&text=query&more=query',
        headers: json,
        body: '{"id":"body","text":"body"}',
      })
      assert.deepEqual(echoed, { id: 'path', text: 'body', more: 'query' })
    }))

  it('takes no number for its neighbour: what a path or a query string says, and a number cannot keep, is refused by name', () =>
    inSystem(async ({ send }) => {
      for (const [url, cm] of [
        ['/measures/9007199254740992', 2 ** 53],
        ['/measures/6.02214076e23', 6.02214076e23],
        ['/measures/0.1?text=9007199254740993', 0.1],
      ] as const)
        assert.deepEqual((await send({ method: 'GET', url })).json, { cm }, url)
      for (const [url, field] of [
        ['/measures/9007199254740993', 'cm'],
        ['/measures/9007199254740993.0', 'cm'],
        ['/measures/0x20000000000001', 'cm'],
        ['/measures/1?more=2&more=-9007199254740993', 'more'],
      ] as const) {
        const { status, json: problem } = await send({ method: 'GET', url })
        assert.deepEqual(
          [status, problem['code'], Object.keys(problem['fields'] ?? {})],
          [422, 'INVALID', [field]],
          url,
        )
      }
    }))
})

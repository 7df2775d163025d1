import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem, type Sent } from '../../test/system.ts'

const json = { 'content-type': 'application/json' }

describe('the gateway', () => {
  it('answers what cannot be understood with what is wrong', () =>
    inSystem(async ({ send }) => {
      const cases: [string, Sent, number, string][] = [
        ['malformed JSON', { method: 'POST', url: '/notes', headers: json, body: '{"text":' }, 400, 'MALFORMED'],
        [
          'wrong content type',
          { method: 'POST', url: '/notes', headers: { 'content-type': 'text/plain' }, body: 'hi' },
          415,
          'UNSUPPORTED_MEDIA_TYPE',
        ],
        ['no content type', { method: 'POST', url: '/notes', body: '{}' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
        ['a body that is no object', { method: 'POST', url: '/notes', headers: json, body: '[1]' }, 422, 'INVALID'],
        [
          'a body over the limit',
          { method: 'POST', url: '/notes', headers: json, body: JSON.stringify({ text: 'x'.repeat(2_000) }) },
          413,
          'BODY_TOO_LARGE',
        ],
        [
          'a value against the schema',
          { method: 'POST', url: '/notes', headers: json, body: '{"text":7}' },
          422,
          'INVALID',
        ],
        ['an unknown route', { method: 'GET', url: '/nowhere' }, 404, 'NOT_FOUND'],
        ['a route whose parameter is empty', { method: 'GET', url: '/notes/' }, 404, 'NOT_FOUND'],
        ['a path that cannot be decoded', { method: 'GET', url: '/notes/%zz' }, 400, 'MALFORMED'],
        ['half of a surrogate pair in a path', { method: 'GET', url: '/labels/%ED%A0%80' }, 400, 'MALFORMED'],
        ['half of a surrogate pair in a query string', { method: 'GET', url: '/count?x=%ED%A0%80' }, 400, 'MALFORMED'],
        ['a query string that cannot be decoded', { method: 'GET', url: '/count?x=100%' }, 400, 'MALFORMED'],
        [
          'half of a surrogate pair in the name of a field',
          { method: 'PUT', url: '/tags', headers: json, body: '{"\\ud83d":"x"}' },
          422,
          'INVALID',
        ],
        ['a method that the path does not know', { method: 'DELETE', url: '/notes' }, 405, 'METHOD_NOT_ALLOWED'],
        [
          'an Idempotency-Key with spaces',
          { method: 'POST', url: '/notes', headers: { ...json, 'idempotency-key': 'a b' }, body: '{"text":"x"}' },
          400,
          'MALFORMED',
        ],
      ]
      for (const [what, sent, status, code] of cases) {
        const answer = await send(sent)
        assert.deepEqual(
          [answer.status, answer.json['code'], answer.headers['content-type']],
          [status, code, 'application/problem+json; charset=utf-8'],
          what,
        )
        assert.equal(answer.headers['x-request-id'], answer.json['requestId'])
      }
    }))

  it('names each field that does not fit, and drops fields it does not know', () =>
    inSystem(async ({ send }) => {
      const { json: problem } = await send({
        method: 'POST',
        url: '/notes',
        headers: json,
        body: '{"text":7,"stars":"many"}',
      })
      assert.deepEqual(Object.keys(problem['fields'] as object), ['text', 'stars'])
      assert.equal(
        (
          await send({
            method: 'POST',
            url: '/notes',
            headers: json,
            body: '{"text":"x","surplus":1,"__proto__":{"admin":true}}',
          })
        ).status,
        201,
      )
    }))

  it('names fields that every object has, and no more fields than one can read', () =>
    inSystem(
      async ({ send }) => {
        const put = async (tags: object) =>
          Object.keys(
            (await send({ method: 'PUT', url: '/tags', headers: json, body: JSON.stringify(tags) })).json[
              'fields'
            ] as object,
          )
        assert.deepEqual(await put({ constructor: 7, toString: 8 }), ['constructor', 'toString'])
        assert.equal(
          (await put(Object.fromEntries(Array.from({ length: 500 }, (_, nth) => [`t${nth}`, nth])))).length,
          100,
        )
      },
      { limits: { bodyBytesMax: 100_000 } },
    ))

  it('repeats a recorded answer under an Idempotency-Key, and not its effect', () =>
    inSystem(async ({ send }) => {
      const sent: Sent = {
        method: 'POST',
        url: '/notes',
        headers: { ...json, 'idempotency-key': 'once' },
        body: '{"text":"x"}',
      }
      const first = await send(sent)
      const second = await send(sent)
      assert.deepEqual([second.status, second.json], [first.status, first.json])
      assert.deepEqual(
        [first.headers['idempotency-replayed'], second.headers['idempotency-replayed']],
        [undefined, 'true'],
      )
      assert.deepEqual((await send({ method: 'GET', url: '/count' })).json, { count: 1 })
      const book = (id: string, headers: Record<string, string>) =>
        send({ method: 'PUT', url: `/books/${id}`, headers: { 'idempotency-key': 'once', ...headers } })
      const ann = { authorization: 'Bearer good-ann' }
      assert.deepEqual(
        [(await book('a', ann)).status, (await book('b', ann)).json['code']],
        [200, 'IDEMPOTENCY_KEY_REUSED'],
      )
      assert.deepEqual(
        [(await book('a', {})).status, (await book('b', {})).status],
        [200, 200],
        "strangers are not in each other's way",
      )
    }))
})

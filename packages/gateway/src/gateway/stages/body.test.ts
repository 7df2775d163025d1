import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readBody } from './body.ts'
import { toInput } from './input.ts'

const limits = { bodyBytesMax: 1_000, bodyDepthMax: 3, bodyValuesMax: 10 }

function read(text: string, headers: Record<string, string> = {}): Promise<Record<string, unknown> | undefined> {
  const all = { 'content-length': String(Buffer.byteLength(text)), 'content-type': 'application/json', ...headers }
  return readBody(
    { method: 'POST', url: '/', headers: all, address: '127.0.0.1', body: async () => text, signal: () => undefined },
    limits,
  )
}

describe('the body of a request', () => {
  it('is JSON in UTF-8, however its sender writes that', async () => {
    for (const type of [
      'application/json',
      'APPLICATION/JSON ; charset=utf-8',
      'application/json;charset="UTF-8"',
      'application/json; v=1; charset=utf8',
    ]) {
      assert.deepEqual(await read('{"a":1}', { 'content-type': type }), { a: 1 }, type)
    }
    assert.deepEqual(await read('{"a":1}', { 'content-encoding': 'identity' }), { a: 1 })
  })

  it('is refused in other letters, and packed', async () => {
    for (const type of [
      'application/json; charset=iso-8859-1',
      'application/json;charset=utf-16',
      'application/json; charset="utf-7"',
      'application/json; charset=',
      'application/jsonp',
    ]) {
      await assert.rejects(read('{}', { 'content-type': type }), { code: 'UNSUPPORTED_MEDIA_TYPE' }, type)
    }
    for (const encoding of ['gzip', 'br', 'identity, gzip'])
      await assert.rejects(read('{}', { 'content-encoding': encoding }), { code: 'UNSUPPORTED_MEDIA_TYPE' }, encoding)
  })

  it('nests as deep as it may, and no deeper', async () => {
    assert.deepEqual(await read('{"a":[{}]}'), { a: [{}] })
    await assert.rejects(read('{"a":[[[]]]}'), /BODY_TOO_LARGE: .*3 levels \(bodyDepthMax\)/)
    assert.deepEqual(await read('{"a":"[[[[[{{{{"}'), { a: '[[[[[{{{{' }, 'a text is no level')
    assert.deepEqual(await read('{"a":"\\\\\\"[[[["}'), { a: '\\"[[[[' }, 'nor is one with a quote in it')
    await assert.rejects(
      read('{"a":"\\\\", "b":[[[]]]}'),
      { code: 'BODY_TOO_LARGE' },
      'a text may end with a backslash',
    )
  })

  it('has as many values as it may, and no more', async () => {
    const list = (count: number): string => `{"a":[${Array(count).fill(1).join()}]}`
    assert.equal(((await read(list(9)))!['a'] as unknown[]).length, 9)
    await assert.rejects(read(list(10)), /BODY_TOO_LARGE: .*10 fields and list elements \(bodyValuesMax\)/)
    const fields = Object.fromEntries(Array.from({ length: 11 }, (_, nth) => [`k${nth}`, 1]))
    await assert.rejects(read(JSON.stringify(fields)), { code: 'BODY_TOO_LARGE' })
    assert.deepEqual(await read('{"a":",,,,,,,,,,,,,"}'), { a: ',,,,,,,,,,,,,' }, 'a text is one')
  })

  it('keeps whole numbers exactly, or is refused by the name of the field', async () => {
    assert.deepEqual(await read('{"a":9007199254740992,"b":"9007199254740993","c":0.12345678901234567}'), {
      a: 2 ** 53,
      b: '9007199254740993',
      c: 0.12345678901234567,
    })
    assert.deepEqual(
      await read(
        '{"a":9007199254740992.0,"b":"1e400, 9007199254740993e0","c":-90071992547409920e-1,"true":true,"z":0e999999999}',
      ),
      { a: 2 ** 53, b: '1e400, 9007199254740993e0', c: -(2 ** 53), true: true, z: 0 },
    )
    const refused = [
      '9007199254740993',
      '-90071992547409931',
      '9'.repeat(400),
      '9007199254740993.0',
      '9007199254740993.5',
      '9.007199254740993e15',
      '9007199254740993e0',
      '123456789012345678e1',
      '900719925474099300E-2',
      '1e400',
      '-1e400',
      '1e-400',
    ]
    for (const digits of refused) {
      await assert.rejects(
        read(`{"b":{"id":${digits}}}`),
        { code: 'INVALID', details: { fields: { id: ['has too many digits to be kept exactly; send it as a text'] } } },
        digits,
      )
    }
  })

  it('keeps what is measured, and not counted, as whoever sent it has it', async () => {
    const measured = {
      avogadro: 6.02214076e23,
      mass: 1.6726e-27,
      light: 2.99792458e8,
      large: 1e300,
      small: 5e-324,
      negative: -1e23,
    }
    assert.deepEqual(await read(JSON.stringify(measured)), measured)
  })

  it('is refused as malformed where a text does not end', () =>
    assert.rejects(read('{"a":"\\"'), { code: 'MALFORMED' }))
})

describe('the input of an operation', () => {
  it('is path over body over query string', () => {
    assert.deepEqual(
      toInput({ id: 'query', text: 'query', more: 'query' }, { id: 'body', text: 'body' }, { id: 'path' }),
      { id: 'path', text: 'body', more: 'query' },
    )
  })

  it('is the body itself: to copy many fields takes longer than to parse them', () => {
    const body = { text: 'x' }
    assert.equal(toInput({}, body, {}), body)
  })

  it('takes no prototype from a query string', () => {
    const input = toInput(JSON.parse('{"__proto__":["x"],"a":"1"}') as Record<string, unknown>, undefined, {})
    assert.deepEqual([Object.getPrototypeOf(input), input], [Object.prototype, { a: '1' }])
  })
})

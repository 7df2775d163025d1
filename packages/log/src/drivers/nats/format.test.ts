import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createRecord, createRecords } from '../../conformance/records.ts'
import { defaultLimits } from './limits.ts'
import { decodeChunk, follows, lastOf, parseOffset, toOffset } from './format.ts'
import { pack, toChunk, toPayload } from './packing.ts'

const texts = ['', '\n', 'a\nb\r\n', '\ufeffmark', '\ud800 alone', '漢字 👩‍👩‍👧‍👦', '{"a":"\\n"}', 'null', '\u0000']
const records = texts.map((text, index) =>
  createRecord('orders', 2, index + 5, { data: text, key: text, id: `id ${index} ${index === 4 ? '' : text}` }),
)
const [message] = pack(
  'orders',
  new Map([[2, records]]),
  new Map([[2, { number: 4, id: 'before' }]]),
  defaultLimits,
  1024 * 1024,
)

const codeOf = (decode: () => unknown): unknown => {
  try {
    return decode()
  } catch (error) {
    return AtollError.from(error).code
  }
}

describe('the format of messages on NATS', () => {
  it('brings back what went in, whatever is in it', () => {
    const payload = toPayload(message!, 17)
    const chunk = decodeChunk('orders', 2, payload, 17)
    // What is no character of Unicode comes back as the sign for that, as anywhere else.
    const expected = records.map((record) => ({ ...record, data: record.data.toWellFormed() }))
    assert.deepEqual(
      chunk.records.map(({ source, offset, ...record }) => record),
      expected,
    )
    assert.equal(chunk.before, 'before')
    assert.deepEqual(
      toChunk('orders', message!, 17).records.map(({ offset }) => offset),
      chunk.records.map(({ offset }) => offset),
    )
  })

  it('refuses what is damaged, what lies elsewhere than it says, and what a newer version wrote', () => {
    const payload = Buffer.from(toPayload(message!, 17))
    for (const bytes of [0, 1, 50, payload.length - 1])
      assert.equal(
        codeOf(() => decodeChunk('orders', 2, payload.subarray(0, bytes))),
        'STORE_CORRUPT',
      )
    assert.equal(
      codeOf(() => decodeChunk('orders', 2, Buffer.concat([payload, Buffer.from('x')]))),
      'STORE_CORRUPT',
    )
    assert.equal(
      codeOf(() => decodeChunk('orders', 2, payload, 16)),
      'STORE_CORRUPT',
    )
    for (const text of ['hello', '{}', 'null', '[]\n'])
      assert.equal(
        codeOf(() => decodeChunk('orders', 2, Buffer.from(text))),
        'STORE_CORRUPT',
      )
    assert.equal(
      codeOf(() => decodeChunk('orders', 2, Buffer.from('{"atoll":2}\n'))),
      'STORE_NEWER',
    )
  })

  it('may lie behind the place that it names, where others wrote to other partitions', () => {
    const { seq, records } = decodeChunk('orders', 2, toPayload(message!, 17), 19)
    assert.deepEqual([seq, records[0]!.offset.split('.')[0]], [19, '19'])
  })

  it('tells what follows a place from what does not', () => {
    const chunk = decodeChunk('orders', 2, toPayload(message!, 17))
    assert.ok(follows({ number: 4, id: 'before' }, chunk))
    assert.ok(!follows({ number: 4, id: 'another' }, chunk))
    assert.ok(!follows({ number: 3, id: 'before' }, chunk))
    assert.ok(!follows(null, chunk))
    for (const { number, id } of chunk.records) {
      assert.ok(follows({ number, id }, chunk))
      assert.ok(!follows({ number, id: 'another' }, chunk))
    }
    assert.ok(!follows({ number: lastOf(chunk).number + 1, id: 'id' }, chunk))
  })

  it('writes offsets that can be read, also of ids with points and line breaks in them', () => {
    for (const id of ['a', '1.2.3', 'a\nb', '']) {
      const place = { seq: 9, left: 0, number: 3, id }
      assert.deepEqual(parseOffset(toOffset(place)), place)
    }
  })

  it('packs records within the limits of a message', () => {
    const many = createRecords('orders', 0, 1, 100)
    const messages = pack(
      'orders',
      new Map([[0, many]]),
      new Map(),
      { ...defaultLimits, messageRecordsMax: 30, messageBytesMax: 4_000 },
      1024 * 1024,
    )
    assert.deepEqual(
      messages.flatMap((packed) => packed.records),
      many,
    )
    for (const packed of messages) assert.ok(packed.records.length <= 30 && toPayload(packed, 1).length <= 4_000)
    assert.equal(
      codeOf(() => pack('orders', new Map([[0, many]]), new Map(), defaultLimits, 500)),
      'BODY_TOO_LARGE',
    )
  })
})

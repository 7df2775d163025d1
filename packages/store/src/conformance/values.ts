import assert from 'node:assert/strict'
import type { StoreDriver, Value } from '../driver.ts'
import type { StoreChapter, StoreTest } from './harness.ts'
import { assertRefused } from './items.ts'

const types = {
  sqlite: { text: 'TEXT', integer: 'INTEGER', fraction: 'REAL', bytes: 'BLOB' },
  postgres: { text: 'TEXT', integer: 'BIGINT', fraction: 'DOUBLE PRECISION', bytes: 'BYTEA' },
} as const

type Kind = keyof (typeof types)['sqlite']

/** Writes each value and reads it back, in the transaction and from the reader. */
function comesBack(id: string, what: string, kind: Kind, values: readonly Value[]): StoreTest {
  return {
    id: `value.${id}`,
    promise: `${what} come back as they were written`,
    run: async (driver) => {
      const [inside, outside] = await writeAndRead(driver, kind, values)
      assert.deepEqual(inside.map(plain), values.map(plain))
      assert.deepEqual(outside.map(plain), values.map(plain))
    },
  }
}

async function writeAndRead(driver: StoreDriver, kind: Kind, values: readonly Value[]): Promise<[Value[], Value[]]> {
  const store = await driver.open('orders', {
    '0001': `CREATE TABLE found (place BIGINT PRIMARY KEY, value ${types[driver.capabilities.sql][kind]})`,
  })
  const all = { sql: 'SELECT value FROM found ORDER BY place' }
  const inside = await store.write(async (tx) => {
    for (const [place, value] of values.entries())
      await tx.run({ sql: 'INSERT INTO found (place, value) VALUES (?, ?)' }, [place, value])
    return tx.all<{ value: Value }>(all)
  })
  const outside = await store.reader.all<{ value: Value }>(all)
  return [inside.map((row) => row.value), outside.map((row) => row.value)]
}

/** Bytes come in several classes; their content counts. */
function plain(value: Value): unknown {
  return value instanceof Uint8Array ? ['bytes', ...value] : value
}

/** As JavaScript, and casts, would give them. */
const changed = [
  'a\0b',
  'half \ud800',
  '\udc00 half',
  NaN,
  2n ** 63n,
  -(2n ** 63n) - 1n,
  true,
  false,
  new Date(0),
  {},
  ['a'],
  Symbol('a'),
  () => 'a',
  new Float64Array([1]),
] as unknown as Value[]

export const values: StoreChapter = {
  name: 'values',
  tests: [
    comesBack('null', 'null and empty texts, each itself,', 'text', [null, '', 'null']),
    comesBack('text', 'texts of every script, quotes and line ends', 'text', [
      'Grüße',
      '日本語',
      '👩‍👩‍👧 𝒳',
      'e\u0301 é',
      `it's "quoted" ? $1 \\`,
      'two\r\nlines\t',
      'x'.repeat(100_000),
    ]),
    comesBack('integer', 'integers within 2^53, as numbers,', 'integer', [
      0,
      -1,
      2 ** 31,
      2 ** 32 + 1,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ]),
    comesBack('fraction', 'fractions, and what is beyond all of them,', 'fraction', [
      0.1,
      -1.5,
      1e300,
      5e-324,
      Infinity,
      -Infinity,
    ]),
    comesBack('bytes', 'bytes, none, all of them and a part of a buffer,', 'bytes', [
      new Uint8Array(),
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
      new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3),
    ]),
    {
      id: 'value.bigint',
      promise: 'a bigint within 2^53 is written like the number',
      async run(driver) {
        const [inside] = await writeAndRead(driver, 'integer', [5n, BigInt(Number.MAX_SAFE_INTEGER)])
        assert.deepEqual(inside.map(Number), [5, Number.MAX_SAFE_INTEGER])
      },
    },
    {
      id: 'value.truth',
      promise: 'what a condition comes to is 1 or 0, and sums and counts are numbers',
      async run(driver) {
        const store = await driver.open('orders', { '0001': 'CREATE TABLE found (place BIGINT PRIMARY KEY)' })
        await store.write((tx) => tx.runEach({ sql: 'INSERT INTO found (place) VALUES (?)' }, [[1], [2]]))
        const row = await store.reader.get({
          sql: 'SELECT EXISTS (SELECT 1 FROM found) AS some, place = 2 AS two, (SELECT sum(place) FROM found) AS total, (SELECT count(*) FROM found) AS many FROM found WHERE place = 1',
        })
        assert.deepEqual({ ...row }, { some: 1, two: 0, total: 3, many: 2 })
      },
    },
    {
      id: 'value.large',
      promise:
        'integers beyond 2^53 come back exactly, as bigints, from rows, from what is computed, and from what a write returns',
      async run(driver) {
        const large = [2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
        for (const found of await writeAndRead(driver, 'integer', [...large, 7])) assert.deepEqual(found, [...large, 7])
        const store = await driver.open('sums', {
          '0001': `CREATE TABLE sums (value ${types[driver.capabilities.sql].integer})`,
        })
        const returned = await store.write((tx) =>
          tx.get({ sql: 'INSERT INTO sums (value) VALUES (?) RETURNING value, 5 AS small' }, [large[1]!]),
        )
        assert.deepEqual({ ...returned }, { value: large[1], small: 5 })
        assert.deepEqual(
          { ...(await store.reader.get({ sql: 'SELECT value + 1 AS next, value - value AS none FROM sums' })) },
          { next: large[1]! + 1n, none: 0 },
        )
      },
    },
    {
      id: 'value.refused',
      promise:
        'what some engine would change is refused with INVALID, in a transaction and by a reader: a text with U+0000 or half of a character, NaN, an integer of more than 64 bits, what is no value of a store',
      async run(driver) {
        const store = await driver.open('orders', {
          '0001': `CREATE TABLE found (place INTEGER PRIMARY KEY, value ${types[driver.capabilities.sql].text})`,
        })
        const insert = { sql: 'INSERT INTO found (value) VALUES (?)', key: 'place' }
        const select = { sql: 'SELECT value FROM found WHERE value = ?' }
        for (const value of changed) {
          for (const use of ['run', 'insert', 'get', 'all'] as const)
            await assertRefused(
              'INVALID',
              store.write<unknown>((tx) => tx[use](insert, [value])),
            )
          await assertRefused(
            'INVALID',
            store.write<unknown>((tx) => tx.runEach(insert, [['fine'], [value]])),
          )
          await assertRefused(
            'INVALID',
            store.write(async (tx) => tx.send(insert, [value], () => {})),
          )
          for (const use of ['get', 'all'] as const)
            await assertRefused('INVALID', store.reader[use]<unknown>(select, [value]))
        }
        assert.deepEqual(await store.reader.all({ sql: 'SELECT value FROM found' }), [])
      },
    },
    {
      id: 'value.parameter',
      promise: 'a parameter is a value and never SQL',
      async run(driver) {
        const [inside] = await writeAndRead(driver, 'text', [`'); DROP TABLE found; --`])
        assert.deepEqual(inside, [`'); DROP TABLE found; --`])
      },
    },
  ],
}

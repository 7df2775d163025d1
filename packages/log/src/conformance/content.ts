import assert from 'node:assert/strict'
import type { Log, LogRecord } from '../driver.ts'
import type { LogChapter } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, readAll, readNumbers } from './records.ts'

export const content: LogChapter = {
  name: 'content',
  tests: [
    {
      id: 'content.unicode',
      promise: 'data in any script comes back character by character',
      run: ({ log }) => assertComesBack(log, oddTexts.map((text) => ({ data: JSON.stringify({ text }) }))),
    },
    {
      id: 'content.keys',
      promise: 'keys and causes of any text come back as they were, neither trimmed nor folded nor read as numbers',
      run: ({ log }) => assertComesBack(log, oddTexts.map((text) => ({ key: text, cause: text }))),
    },
    {
      id: 'content.order-tokens',
      promise: 'an order token comes back as the text it is, also where it looks like a number',
      run: ({ log }) => assertComesBack(log, ['7', '0007', '18446744073709551616', '1e3', '1000000000000000000000000000001'].map((order) => ({ order }))),
    },
    {
      id: 'content.numbers',
      promise: 'times and versions come back exactly',
      run: ({ log }) => assertComesBack(log, [0, 1, 2 ** 31, 2 ** 32 + 1, 4_102_444_800_123].map((at) => ({ at, version: (at % 1000) + 1 }))),
    },
  ],
}

export const limits: LogChapter = {
  name: 'limits',
  tests: [
    {
      id: 'limits.largest',
      promise: 'data of exactly dataBytesMax bytes is taken and comes back',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const data = jsonOfBytes('x', dataBytesMax)
        await log.append('orders', [createRecord('orders', 0, 1, { data })])
        const [found] = await readAll(log, 'orders', 0)
        assert.ok(found?.data === data, 'the largest data came back changed')
      },
    },
    {
      id: 'limits.too-large',
      promise: 'data of one byte more is refused with BODY_TOO_LARGE, and nothing of its append is written',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const tooLarge = createRecord('orders', 0, 2, { data: jsonOfBytes('x', dataBytesMax + 1) })
        await assertRefused('BODY_TOO_LARGE', log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 1, 1), tooLarge]))
        assertNumbers(await readNumbers(log, 'orders', 0), [])
        assertNumbers(await readNumbers(log, 'orders', 1), [])
      },
    },
    {
      id: 'limits.bytes',
      promise: 'the size of data is counted in bytes of UTF-8, not in characters',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const data = jsonOfBytes('é', dataBytesMax + 2)
        assert.ok(data.length <= dataBytesMax)
        await assertRefused('BODY_TOO_LARGE', log.append('orders', [createRecord('orders', 0, 1, { data })]))
      },
    },
  ],
}

/** Texts that break what trims, folds, normalizes, counts wrongly, ends at NUL, or takes text for numbers or SQL. */
const oddTexts = [
  ' leading and trailing ',
  'Ärger · Straße · naïve',
  'e\u0301 is not \u00e9',
  '漢字かな交じり文',
  'مرحبا بالعالم',
  '👩‍👩‍👧‍👦 🏳️‍🌈',
  'a\u0000b',
  'line\nbreak\r\n\ttab\u2028\u2029',
  '\ufeffbyte order mark',
  `'; DROP TABLE records; --"\\`,
  '007',
  '1e3',
  'null',
  '-',
  'UPPER lower',
  'k'.repeat(200),
]

/** Appends one record for each, and asserts that each comes back whole. */
async function assertComesBack(log: Log, overrides: readonly Partial<LogRecord>[]): Promise<void> {
  const records = overrides.map((override, index) => createRecord('orders', 0, index + 1, override))
  await log.append('orders', records)
  const found = await readAll(log, 'orders', 0)
  assert.deepEqual(
    found.map((record) => ({ ...record })),
    records.map((record, index) => ({ ...record, source: 'orders', offset: found[index]?.offset })),
  )
}

/** A JSON string of that many bytes, two of them the quotes, made of `character`. */
function jsonOfBytes(character: string, bytes: number): string {
  const size = Buffer.byteLength(character)
  const rest = (bytes - 2) % size
  return `"${'x'.repeat(rest)}${character.repeat((bytes - 2 - rest) / size)}"`
}

import assert from 'node:assert/strict'
import type { Log, LogRecord } from '../driver.ts'
import type { LogChapter } from './harness.ts'
import { createRecord, readAll } from './records.ts'

export const content: LogChapter = {
  name: 'content',
  tests: [
    {
      id: 'content.unicode',
      promise: 'data in any script comes back character by character',
      run: ({ log }) =>
        assertComesBack(
          log,
          oddTexts.map((text) => ({ data: JSON.stringify({ text }) })),
        ),
    },
    {
      id: 'content.keys',
      promise: 'keys and causes of any text come back as they were, neither trimmed nor folded nor read as numbers',
      run: ({ log }) =>
        assertComesBack(
          log,
          oddTexts.map((text) => ({ key: text, cause: text })),
        ),
    },
    {
      id: 'content.order-tokens',
      promise: 'an order token comes back as the text it is, also where it looks like a number',
      run: ({ log }) =>
        assertComesBack(
          log,
          ['7', '0007', '18446744073709551616', '1e3', '1000000000000000000000000000001'].map((order) => ({ order })),
        ),
    },
    {
      id: 'content.numbers',
      promise: 'times and versions come back exactly',
      run: ({ log }) =>
        assertComesBack(
          log,
          [0, 1, 2 ** 31, 2 ** 32 + 1, 4_102_444_800_123].map((at) => ({ at, version: (at % 1000) + 1 })),
        ),
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

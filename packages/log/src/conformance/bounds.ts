import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertRefused, createRecord, readAll } from './records.ts'

export const bounds: LogChapter = {
  name: 'what cannot be',
  tests: [
    {
      id: 'bounds.partition',
      promise: 'a partition that is not a whole number from 0 is refused with INVALID',
      async run({ log }) {
        for (const partition of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
          await assertRefused('INVALID', log.append('orders', [createRecord('orders', partition, 1)]))
          await assertRefused('INVALID', log.read('orders', partition, null, 1))
          await assertRefused('INVALID', log.tail('orders', partition))
        }
      },
    },
    {
      id: 'bounds.number',
      promise:
        'a number that is not a whole number from 1 is refused with INVALID, and nothing of its append is written',
      async run({ log }) {
        for (const number of [0, -1, 1.5, NaN, 2 ** 53]) {
          await assertRefused(
            'INVALID',
            log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 1, number)]),
          )
        }
        assert.deepEqual(await readAll(log, 'orders', 0), [])
      },
    },
    {
      id: 'bounds.source',
      promise: 'a name that no service can have is refused with INVALID',
      async run({ log }) {
        for (const source of [
          '',
          'Orders',
          'no such name',
          'a.b',
          'a/b',
          '../a',
          '*',
          '>',
          '-a',
          'ö',
          `a${'b'.repeat(63)}`,
        ]) {
          await assertRefused('INVALID', log.append(source, [createRecord('orders', 0, 1)]))
          await assertRefused('INVALID', log.read(source, 0, null, 1))
          await assertRefused('INVALID', log.tail(source, 0))
          await assertRefused('INVALID', (async () => log.watch(source, () => {}))())
        }
      },
    },
    {
      id: 'bounds.offset',
      promise: 'an offset that no such log gives is refused with INVALID',
      async run({ log }) {
        await log.append('orders', [createRecord('orders', 0, 1)])
        for (const offset of [
          '',
          '0',
          '-1',
          ' 1',
          '1 ',
          '01',
          '1e3',
          '0x1',
          '1,5',
          'NaN',
          '9'.repeat(20),
          '1.',
          '.1',
          "'; DROP TABLE records; --",
        ]) {
          await assertRefused('INVALID', log.read('orders', 0, offset, 1))
        }
      },
    },
  ],
}

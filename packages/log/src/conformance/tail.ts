import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, readAll } from './records.ts'

export const tail: LogChapter = {
  name: 'tail',
  tests: [
    {
      id: 'tail.nothing',
      promise: 'a partition without records has no tail',
      async run({ log }) {
        assert.equal(await log.tail('orders', 0), null)
        await log.append('orders', [createRecord('orders', 1, 1)])
        assert.equal(await log.tail('orders', 0), null)
        assert.equal(await log.tail('payments', 1), null)
      },
    },
    {
      id: 'tail.last',
      promise: 'the tail is the number, the offset and the id of the last record, and moves with each append',
      async run({ log }) {
        for (const [first, last] of [
          [1, 1],
          [2, 2],
          [3, 9],
        ] as const) {
          await log.append('orders', createRecords('orders', 0, first, last))
          const { number, offset, id } = (await readAll(log, 'orders', 0)).at(-1)!
          assert.deepEqual({ ...(await log.tail('orders', 0)) }, { number, offset, id })
          assert.equal(number, last)
        }
      },
    },
    {
      id: 'tail.own',
      promise: 'each partition of each source has its own tail',
      async run({ log }) {
        await log.append('orders', [...createRecords('orders', 0, 1, 2), ...createRecords('orders', 1, 1, 5)])
        await log.append('payments', createRecords('payments', 0, 1, 3))
        const numbers = [await log.tail('orders', 0), await log.tail('orders', 1), await log.tail('payments', 0)].map(
          (end) => end?.number,
        )
        assert.deepEqual(numbers, [2, 5, 3])
      },
    },
    {
      id: 'tail.read-on',
      promise: 'reading from the tail gives only what is appended after it',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const { offset } = (await log.tail('orders', 0))!
        await log.append('orders', createRecords('orders', 0, 4, 6))
        assertNumbers(
          (await readAll(log, 'orders', 0, offset)).map((record) => record.number),
          [4, 5, 6],
        )
      },
    },
    {
      id: 'tail.after-refusal',
      promise: 'a refused append does not move the tail',
      when: (capabilities) => capabilities.checksAppends,
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const before = await log.tail('orders', 0)
        await log
          .append('orders', [createRecord('orders', 0, 4), createRecord('orders', 0, 6)])
          .catch(() => 'refused, as another test sees to')
        assert.deepEqual(await log.tail('orders', 0), before)
      },
    },
  ],
}

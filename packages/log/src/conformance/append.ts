import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, numbersTo, readAll, readNumbers } from './records.ts'

export const append: LogChapter = {
  name: 'append',
  tests: [
    {
      id: 'append.complete',
      promise: 'a record comes back as it was appended, with its source and its offset',
      async run({ log }) {
        const record = createRecord('orders', 3, 1)
        await log.append('orders', [record])
        const [found, ...others] = await log.read('orders', 3, null, 10)
        assert.deepEqual(others, [])
        assert.equal(typeof found?.offset, 'string')
        assert.deepEqual({ ...found }, { ...record, source: 'orders', offset: found?.offset })
      },
    },
    {
      id: 'append.in-order',
      promise: 'records come back in the order in which they were appended, over many appends',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 5))
        await log.append('orders', createRecords('orders', 0, 6, 6))
        await log.append('orders', createRecords('orders', 0, 7, 12))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(12))
      },
    },
    {
      id: 'append.at-once',
      promise: 'what was appended can be read as soon as the append resolved',
      async run({ log }) {
        for (const number of numbersTo(5)) {
          await log.append('orders', [createRecord('orders', 0, number)])
          assert.equal((await readAll(log, 'orders', 0)).length, number)
        }
      },
    },
    {
      id: 'append.mixed-partitions',
      promise: 'one append carries records of several partitions, each to its own',
      async run({ log }) {
        const records = [1, 2, 3].flatMap((number) =>
          [0, 1, 7].map((partition) => createRecord('orders', partition, number)),
        )
        await log.append('orders', records)
        for (const partition of [0, 1, 7]) {
          const found = await readAll(log, 'orders', partition)
          assert.deepEqual(
            found.map((record) => record.id),
            [1, 2, 3].map((number) => `orders/${partition}/${number}`),
          )
        }
      },
    },
    {
      id: 'append.nothing',
      promise: 'an append of no records resolves and changes nothing',
      async run({ log }) {
        await log.append('orders', [])
        assert.equal(await log.tail('orders', 0), null)
      },
    },
    {
      id: 'append.many',
      promise: 'a thousand records in one append all arrive',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 1000))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(1000))
      },
    },
    {
      id: 'append.keeps-no-reference',
      promise: 'what the caller does to its records after the append does not reach the log',
      async run({ log }) {
        const record = { ...createRecord('orders', 0, 1) }
        const records = [record]
        await log.append('orders', records)
        record.data = '"changed"'
        records.pop()
        const [found] = await readAll(log, 'orders', 0)
        assert.equal(found?.data, createRecord('orders', 0, 1).data)
      },
    },
  ],
}

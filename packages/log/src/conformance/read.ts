import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, numbersTo, readAll, readNumbers } from './records.ts'

export const read: LogChapter = {
  name: 'read',
  tests: [
    {
      id: 'read.nothing',
      promise: 'reading an unknown source, an unknown partition or an empty one answers no records',
      async run({ log }) {
        assert.deepEqual(await log.read('orders', 0, null, 10), [])
        await log.append('orders', [createRecord('orders', 0, 1)])
        assert.deepEqual(await log.read('orders', 1, null, 10), [])
        assert.deepEqual(await log.read('payments', 0, null, 10), [])
      },
    },
    {
      id: 'read.after',
      promise: 'reading from an offset answers what comes after it, from any record on',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 5))
        for (const record of await readAll(log, 'orders', 0)) {
          const after = await log.read('orders', 0, record.offset, 10)
          assertNumbers(
            after.map((other) => other.number),
            numbersTo(5).slice(record.number),
          )
        }
      },
    },
    {
      id: 'read.limit',
      promise: 'a read answers as many records as it asks for at the most',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 9))
        for (const limit of [1, 2, 5]) {
          const found = await log.read('orders', 0, null, limit)
          assert.ok(found.length >= 1 && found.length <= limit, `${found.length} records for a limit of ${limit}`)
        }
      },
    },
    {
      id: 'read.pages',
      promise: 'reading on from the last offset gives every record once, whatever the size of the page',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 300))
        for (const pageSize of [1, 7, 128, 300, 1000]) {
          const found = await readAll(log, 'orders', 0, null, pageSize)
          assertNumbers(
            found.map((record) => record.number),
            numbersTo(300),
          )
        }
      },
    },
    {
      id: 'read.continues',
      promise:
        'a reader who has read everything gets no records, and from the same offset the next one once it is there',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const { offset } = (await readAll(log, 'orders', 0)).at(-1)!
        assert.deepEqual(await log.read('orders', 0, offset, 10), [])
        await log.append('orders', [createRecord('orders', 0, 4)])
        assertNumbers(
          (await log.read('orders', 0, offset, 10)).map((record) => record.number),
          [4],
        )
      },
    },
    {
      id: 'read.same-offset',
      promise: 'a record has the same offset each time it is read',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 20))
        const once = await readAll(log, 'orders', 0, null, 100)
        const again = await readAll(log, 'orders', 0, null, 3)
        assert.deepEqual(again, once)
        assert.equal(new Set(once.map((record) => record.offset)).size, 20)
      },
    },
    {
      id: 'read.own-copy',
      promise: 'what one reader does to its records does not reach the next',
      async run({ log }) {
        await log.append('orders', [createRecord('orders', 0, 1)])
        for (const record of await readAll(log, 'orders', 0))
          if (!Object.isFrozen(record)) Object.assign(record, { data: '"changed"' })
        const [found] = await readAll(log, 'orders', 0)
        assert.equal(found?.data, createRecord('orders', 0, 1).data)
      },
    },
    {
      id: 'read.only-what-stays',
      promise: 'a record that was seen once is there for good, even if its append is rejected',
      fault: 'stopWrites',
      async run(world) {
        const { log } = world
        const allowWrites = world.stopWrites!()
        const under = log.append('orders', createRecords('orders', 0, 1, 50)).catch(() => 'rejected')
        const seen = await readNumbers(log, 'orders', 0)
        await under
        const left = await readNumbers(log, 'orders', 0)
        allowWrites()
        assertNumbers(left.slice(0, seen.length), seen)
      },
    },
  ],
}

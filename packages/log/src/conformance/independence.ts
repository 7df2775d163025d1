import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, numbersTo, readAll, readNumbers } from './records.ts'

export const independence: LogChapter = {
  name: 'partitions and sources',
  tests: [
    {
      id: 'independence.partitions',
      promise: 'the partitions of a source are numbered and read apart',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 4))
        await log.append('orders', createRecords('orders', 1, 1, 2))
        await log.append('orders', createRecords('orders', 0, 5, 6))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
        assertNumbers(await readNumbers(log, 'orders', 1), numbersTo(2))
        for (const record of await readAll(log, 'orders', 1)) assert.equal(record.partition, 1)
      },
    },
    {
      id: 'independence.sources',
      promise: 'sources are numbered and read apart, also in the same partition',
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 4))
        await log.append('payments', createRecords('payments', 0, 1, 2))
        await log.append('orders', createRecords('orders', 0, 5, 5))
        for (const [source, last] of [
          ['orders', 5],
          ['payments', 2],
        ] as const) {
          const found = await readAll(log, source, 0)
          assert.deepEqual(
            found.map((record) => record.id),
            createRecords(source, 0, 1, last).map((record) => record.id),
          )
          for (const record of found) assert.equal(record.source, source)
        }
      },
    },
    {
      id: 'independence.similar-names',
      promise: 'sources whose names resemble one another do not mix',
      async run({ log }) {
        const sources = ['orders', 'orders-0', 'orders-1', 'order', 'orders1', 'orders-1-1']
        for (const source of sources)
          await log.append(source, [...createRecords(source, 0, 1, 1), ...createRecords(source, 1, 1, 2)])
        for (const source of sources) {
          const ids = [...(await readAll(log, source, 0)), ...(await readAll(log, source, 1))].map(
            (record) => record.id,
          )
          assert.deepEqual(ids, [`${source}/0/1`, `${source}/1/1`, `${source}/1/2`])
        }
      },
    },
    {
      id: 'independence.systems',
      promise: 'the logs of two systems in one place are kept apart, and one hears nothing of the other',
      fault: 'stranger',
      async run(world, harness) {
        const { log } = world
        const stranger = await world.stranger!()
        let hints = 0
        stranger.watch('orders', () => hints++)
        await log.append('orders', createRecords('orders', 0, 1, 3))
        assert.equal(await stranger.tail('orders', 0), null)
        assert.deepEqual(await stranger.read('orders', 0, null, 10), [])
        await harness.pause()
        assert.equal(hints, 0)
        await stranger.append('orders', [createRecord('orders', 0, 1, { id: 'another' })])
        assert.deepEqual(
          (await readAll(stranger, 'orders', 0)).map(({ id }) => id),
          ['another'],
        )
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      },
    },
  ],
}

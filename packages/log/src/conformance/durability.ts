import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, numbersTo, readAll, readNumbers } from './records.ts'

export const durability: LogChapter = {
  name: 'durability',
  tests: [
    {
      id: 'durability.reopen',
      promise: 'records, offsets and tails are the same after the log was closed and opened',
      when: (capabilities) => capabilities.persistent,
      async run(world) {
        const { log } = world
        await log.append('orders', [...createRecords('orders', 0, 1, 40), ...createRecords('orders', 3, 1, 2)])
        await log.append('payments', createRecords('payments', 0, 1, 3))
        const look = async (from: typeof log): Promise<unknown> => [
          await readAll(from, 'orders', 0),
          await readAll(from, 'orders', 3),
          await readAll(from, 'payments', 0),
          await from.tail('orders', 0),
          await from.tail('payments', 0),
          await from.tail('payments', 1),
        ]
        const before = await look(log)
        await log.close()
        assert.deepEqual(await look(await world.reopen()), before)
      },
    },
    {
      id: 'durability.old-offset',
      promise: 'an offset from before the log was closed is good afterwards',
      when: (capabilities) => capabilities.persistent,
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 5))
        const { offset } = (await readAll(log, 'orders', 0))[2]!
        await log.close()
        const again = await world.reopen()
        assertNumbers(
          (await readAll(again, 'orders', 0, offset)).map((record) => record.number),
          [4, 5],
        )
      },
    },
    {
      id: 'durability.goes-on',
      promise: 'known and new sources and partitions are appended to after the log was closed and opened',
      when: (capabilities) => capabilities.persistent,
      async run(world) {
        await world.log.append('orders', createRecords('orders', 0, 1, 3))
        await world.log.close()
        const again = await world.reopen()
        await again.append('payments', createRecords('payments', 0, 1, 2))
        await again.append('orders', [...createRecords('orders', 0, 4, 5), ...createRecords('orders', 1, 1, 2)])
        assertNumbers(await readNumbers(again, 'orders', 0), numbersTo(5))
        assertNumbers(await readNumbers(again, 'orders', 1), numbersTo(2))
        assertNumbers(await readNumbers(again, 'payments', 0), numbersTo(2))
      },
    },
    {
      id: 'durability.forgets',
      promise: 'a log that is not persistent is empty when it is opened again',
      when: (capabilities) => !capabilities.persistent,
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 5))
        await log.close()
        const again = await world.reopen()
        assertNumbers(await readNumbers(again, 'orders', 0), [])
        await again.append('orders', [createRecord('orders', 0, 1)])
        assertNumbers(await readNumbers(again, 'orders', 0), [1])
      },
    },
    {
      id: 'durability.crash',
      promise: 'after a crash every record is there whose append resolved, and none that leaves a hole',
      when: (capabilities) => capabilities.canBeDurable,
      fault: 'crash',
      async run(world) {
        const { log } = world
        let acknowledged = 0
        for (let first = 1; first <= 30; first += 10) {
          await log.append('orders', createRecords('orders', 0, first, first + 9))
          acknowledged = first + 9
        }
        const under = log.append('orders', createRecords('orders', 0, 31, 40)).catch(() => 'its log is gone')
        const again = await world.crash!()
        const numbers = await readNumbers(again, 'orders', 0)
        await under
        assert.ok(
          numbers.length >= acknowledged,
          `${acknowledged} records were acknowledged, and ${numbers.length} are left`,
        )
        assertNumbers(numbers, numbersTo(numbers.length))
      },
    },
    {
      id: 'durability.failed-append',
      promise: 'an append that fails for want of room rejects, and leaves the log as good as it was',
      fault: 'stopWrites',
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const allowWrites = world.stopWrites!()
        await assert.rejects(log.append('orders', createRecords('orders', 0, 4, 200)))
        const left = await readNumbers(log, 'orders', 0)
        assertNumbers(left, numbersTo(left.length))
        assert.equal((await log.tail('orders', 0))?.number, left.length)
        allowWrites()
        await log.append('orders', createRecords('orders', 0, 4, 200))
        const numbers = await readNumbers(log, 'orders', 0)
        assertNumbers([...new Set(numbers)], numbersTo(200))
      },
    },
  ],
}

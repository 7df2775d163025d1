import assert from 'node:assert/strict'
import type { LogCapabilities } from '../driver.ts'
import type { LogChapter } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, createRecords, numbersTo, readNumbers } from './records.ts'

const checks = (capabilities: LogCapabilities): boolean => capabilities.checksAppends
const checksAndPersists = (capabilities: LogCapabilities): boolean =>
  capabilities.checksAppends && capabilities.persistent
const checksNot = (capabilities: LogCapabilities): boolean => !capabilities.checksAppends

export const gaps: LogChapter = {
  name: 'gaps',
  tests: [
    {
      id: 'gap.at-start',
      promise: 'a partition begins with number 1; another is refused with LOG_GAP',
      when: checks,
      async run({ log }) {
        await assertRefused('LOG_GAP', log.append('orders', [createRecord('orders', 0, 2)]))
        assertNumbers(await readNumbers(log, 'orders', 0), [])
      },
    },
    {
      id: 'gap.later',
      promise: 'a number that would leave a hole is refused with LOG_GAP',
      when: checks,
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await assertRefused('LOG_GAP', log.append('orders', [createRecord('orders', 0, 5)]))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      },
    },
    {
      id: 'gap.within-append',
      promise: 'a hole between the records of one append is refused with LOG_GAP, and nothing before it is written',
      when: checks,
      async run({ log }) {
        await assertRefused(
          'LOG_GAP',
          log.append(
            'orders',
            [1, 2, 4].map((number) => createRecord('orders', 0, number)),
          ),
        )
        assertNumbers(await readNumbers(log, 'orders', 0), [])
      },
    },
    {
      id: 'gap.other-partitions',
      promise:
        'an append that is refused for one partition writes nothing to another, and can be mended and made again',
      when: checks,
      async run({ log }) {
        const good = createRecords('orders', 0, 1, 2)
        await assertRefused('LOG_GAP', log.append('orders', [...good, createRecord('orders', 1, 9)]))
        assertNumbers(await readNumbers(log, 'orders', 0), [])
        await log.append('orders', [...good, createRecord('orders', 1, 1)])
        assertNumbers(await readNumbers(log, 'orders', 0), [1, 2])
        assertNumbers(await readNumbers(log, 'orders', 1), [1])
      },
    },
    {
      id: 'gap.after-reopen',
      promise: 'numbers go on where they ended when the log is opened anew',
      when: checksAndPersists,
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await log.close()
        const again = await world.reopen()
        await assertRefused('LOG_GAP', again.append('orders', [createRecord('orders', 0, 5)]))
        await again.append('orders', [createRecord('orders', 0, 4)])
        assertNumbers(await readNumbers(again, 'orders', 0), numbersTo(4))
      },
    },
    {
      id: 'gap.lost-reader',
      promise: 'whoever has read further than a log reaches, because its records were deleted, is told with LOG_GAP',
      fault: 'lose',
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const { offset } = (await log.tail('orders', 0))!
        await world.lose!('orders')
        await assertRefused('LOG_GAP', log.read('orders', 0, offset, 10))
        assert.equal(await log.tail('orders', 0), null)
      },
    },
    {
      id: 'gap.lost-writer',
      promise: 'whoever goes on with its numbers after its records were deleted is refused with LOG_GAP',
      when: checks,
      fault: 'lose',
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await world.lose!('orders')
        await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 4, 5)))
      },
    },
    {
      id: 'gap.unchecked',
      promise: 'a log that does not check appends shows a hole as a hole, so that readers detect it',
      when: checksNot,
      async run({ log }) {
        await log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 0, 3)])
        assertNumbers(await readNumbers(log, 'orders', 0), [1, 3])
        assert.equal((await log.tail('orders', 0))?.number, 3)
      },
    },
  ],
}

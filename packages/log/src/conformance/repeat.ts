import assert from 'node:assert/strict'
import type { LogCapabilities } from '../driver.ts'
import type { LogChapter } from './harness.ts'
import { assertNumbers, createRecord, createRecords, dropKnown, numbersTo, readAll, readNumbers } from './records.ts'

const checks = (capabilities: LogCapabilities): boolean => capabilities.checksAppends
const checksAndPersists = (capabilities: LogCapabilities): boolean =>
  capabilities.checksAppends && capabilities.persistent
const checksNot = (capabilities: LogCapabilities): boolean => !capabilities.checksAppends

export const repeat: LogChapter = {
  name: 'repeated appends',
  tests: [
    {
      id: 'repeat.ignored',
      promise: 'records that are appended again are there once',
      when: checks,
      async run({ log }) {
        for (let time = 0; time < 3; time++) await log.append('orders', createRecords('orders', 0, 1, 4))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(4))
      },
    },
    {
      id: 'repeat.overlap',
      promise: 'an append that begins with known records adds the others',
      when: checks,
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 4))
        await log.append('orders', createRecords('orders', 0, 3, 7))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(7))
      },
    },
    {
      id: 'repeat.within-append',
      promise: 'a record that stands twice in one append is there once',
      when: checks,
      async run({ log }) {
        await log.append('orders', [...createRecords('orders', 0, 1, 2), ...createRecords('orders', 0, 1, 3)])
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      },
    },
    {
      id: 'repeat.first-stays',
      promise: 'the record that was appended first stays as it was',
      when: checks,
      async run({ log }) {
        await log.append('orders', [createRecord('orders', 0, 1, { data: '"first"' })])
        await log.append('orders', [createRecord('orders', 0, 1, { data: '"second"' })])
        assert.deepEqual(
          (await readAll(log, 'orders', 0)).map((record) => record.data),
          ['"first"'],
        )
      },
    },
    {
      id: 'repeat.after-reopen',
      promise: 'records that are appended again after the log was opened anew are there once',
      when: checksAndPersists,
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 4))
        await log.close()
        const again = await world.reopen()
        await again.append('orders', createRecords('orders', 0, 2, 6))
        assertNumbers(await readNumbers(again, 'orders', 0), numbersTo(6))
      },
    },
    {
      id: 'repeat.unchecked',
      promise:
        'a log that does not check appends takes repeats; readers who drop known numbers get every record, in order',
      when: checksNot,
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 4))
        await log.append('orders', createRecords('orders', 0, 3, 7))
        assertNumbers(dropKnown(await readNumbers(log, 'orders', 0)), numbersTo(7))
      },
    },
    {
      id: 'repeat.unchecked-pages',
      promise: 'reading on from any offset passes repeats, whatever the size of the page',
      when: checksNot,
      async run({ log }) {
        for (const [first, last] of [
          [1, 3],
          [1, 3],
          [2, 5],
        ] as const)
          await log.append('orders', createRecords('orders', 0, first, last))
        const found = await readAll(log, 'orders', 0, null, 1)
        assertNumbers(dropKnown(found.map((record) => record.number)), numbersTo(5))
      },
    },
  ],
}

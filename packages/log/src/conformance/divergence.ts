import assert from 'node:assert/strict'
import type { LogCapabilities } from '../driver.ts'
import type { LogChapter } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, createRecords, readAll, readNumbers } from './records.ts'

const checks = (capabilities: LogCapabilities): boolean => capabilities.checksAppends
const checksAndPersists = (capabilities: LogCapabilities): boolean =>
  capabilities.checksAppends && capabilities.persistent

export const divergence: LogChapter = {
  name: 'divergence',
  tests: [
    {
      id: 'divergence.refused',
      promise: 'another event under a number that is taken is refused with LOG_DIVERGED, and the first one stays',
      when: checks,
      async run({ log }) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await assertRefused('LOG_DIVERGED', log.append('orders', [createRecord('orders', 0, 2, { id: 'another' })]))
        assert.deepEqual(
          (await readAll(log, 'orders', 0)).map((record) => record.id),
          ['orders/0/1', 'orders/0/2', 'orders/0/3'],
        )
      },
    },
    {
      id: 'divergence.within-append',
      promise: 'two events under one number in one append are refused with LOG_DIVERGED',
      when: checks,
      async run({ log }) {
        await assertRefused(
          'LOG_DIVERGED',
          log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 0, 1, { id: 'another' })]),
        )
        assertNumbers(await readNumbers(log, 'orders', 0), [])
      },
    },
    {
      id: 'divergence.writes-nothing',
      promise: 'an append that diverges in one record writes none of the others',
      when: checks,
      async run({ log }) {
        await log.append('orders', [createRecord('orders', 0, 1)])
        const records = [
          createRecord('orders', 1, 1),
          createRecord('orders', 0, 1, { id: 'another' }),
          createRecord('orders', 0, 2),
        ]
        await assertRefused('LOG_DIVERGED', log.append('orders', records))
        assertNumbers(await readNumbers(log, 'orders', 0), [1])
        assertNumbers(await readNumbers(log, 'orders', 1), [])
      },
    },
    {
      id: 'divergence.after-reopen',
      promise: 'divergence from records of an earlier opening is seen as well',
      when: checksAndPersists,
      async run(world) {
        const { log } = world
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await log.close()
        const again = await world.reopen()
        await assertRefused('LOG_DIVERGED', again.append('orders', [createRecord('orders', 0, 3, { id: 'another' })]))
      },
    },
  ],
}

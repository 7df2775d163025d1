import assert from 'node:assert/strict'
import type { Log } from '../driver.ts'
import type { LogChapter, LogTest } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, createRecords, numbersTo, readNumbers } from './records.ts'

/** What every method does on a closed log. */
function refusedAfterClose(method: string, use: (log: Log) => unknown): LogTest {
  return {
    id: `close.${method}`,
    promise: `${method} is refused with LOG_CLOSED after close`,
    async run({ log }) {
      await log.append('orders', [createRecord('orders', 0, 1)])
      await log.close()
      await assertRefused('LOG_CLOSED', (async () => use(log))())
    },
  }
}

export const close: LogChapter = {
  name: 'close',
  tests: [
    refusedAfterClose('append', (log) => log.append('orders', [createRecord('orders', 0, 2)])),
    refusedAfterClose('read', (log) => log.read('orders', 0, null, 10)),
    refusedAfterClose('tail', (log) => log.tail('orders', 0)),
    refusedAfterClose('watch', (log) => log.watch('orders', () => {})),
    refusedAfterClose('examine', (log) => log.examine()),
    {
      id: 'close.twice',
      promise: 'closing again does nothing, at once or later',
      async run({ log }) {
        await Promise.all([log.close(), log.close()])
        await log.close()
      },
    },
    {
      id: 'close.settles-appends',
      promise: 'close waits for the appends under way: each is settled by then',
      async run({ log }) {
        let settled = 0
        const under = [1, 2, 3].map((number) =>
          log.append(`service-${number}`, createRecords(`service-${number}`, 0, 1, 20)).then(
            () => settled++,
            () => settled++,
          ),
        )
        await log.close()
        // the reactions to what close settled, and nothing that waits longer
        for (let step = 0; step < 10; step++) await Promise.resolve()
        assert.equal(settled, 3)
        await Promise.all(under)
      },
    },
    {
      id: 'close.keeps-appends',
      promise: 'an append that resolved while the log was being closed is there when it is opened again',
      when: (capabilities) => capabilities.persistent,
      async run(world) {
        const { log } = world
        const under = log.append('orders', createRecords('orders', 0, 1, 20)).then(
          () => 20,
          () => 0,
        )
        await log.close()
        const acknowledged = await under
        const numbers = await readNumbers(await world.reopen(), 'orders', 0)
        assertNumbers(numbers, numbersTo(numbers.length))
        assert.ok(numbers.length >= acknowledged)
      },
    },
  ],
}

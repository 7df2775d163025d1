import assert from 'node:assert/strict'
import type { Log } from '../driver.ts'
import { pausesMax, type LogChapter } from './harness.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
} from './records.ts'

export const concurrency: LogChapter = {
  name: 'concurrency',
  tests: [
    {
      id: 'concurrency.sources',
      promise: 'appends of many sources at the same time all arrive, each in its own order',
      async run({ log }) {
        const sources = Array.from({ length: 12 }, (_, index) => `service-${index}`)
        const appendAll = async (source: string): Promise<void> => {
          for (let first = 1; first <= 20; first += 4) {
            await log.append(source, [
              ...createRecords(source, 1, first, first + 3),
              ...createRecords(source, 5, first, first + 3),
            ])
          }
        }
        await Promise.all(sources.map(appendAll))
        for (const source of sources) {
          for (const partition of [1, 5]) {
            const found = await readAll(log, source, partition)
            assert.deepEqual(
              found.map((record) => record.id),
              createRecords(source, partition, 1, 20).map((record) => record.id),
            )
          }
        }
      },
    },
    {
      id: 'concurrency.refused-alone',
      promise: 'an append that is refused takes none of those with it that came at the same time',
      async run({ log }, { capabilities }) {
        const tooLarge = createRecord('broken', 0, 1, { data: JSON.stringify('x'.repeat(capabilities.dataBytesMax)) })
        await Promise.all([
          log.append('orders', createRecords('orders', 0, 1, 3)),
          assertRefused('BODY_TOO_LARGE', log.append('broken', [tooLarge])),
          capabilities.checksAppends
            ? assertRefused('LOG_GAP', log.append('gappy', [createRecord('gappy', 0, 3)]))
            : undefined,
          log.append('payments', createRecords('payments', 0, 1, 3)),
        ])
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
        assertNumbers(await readNumbers(log, 'payments', 0), numbersTo(3))
        assertNumbers(await readNumbers(log, 'broken', 0), [])
      },
    },
    {
      id: 'concurrency.read-while-appending',
      promise: 'who reads while others append sees the records from the first on, without a hole',
      async run({ log }, { pause }) {
        let appended = false
        const appendAll = async (): Promise<void> => {
          for (let first = 1; first <= 100; first += 10)
            await log.append('orders', createRecords('orders', 0, first, first + 9))
          appended = true
        }
        const readUntilAppended = async (): Promise<void> => {
          for (let pauses = 0; !appended && pauses < pausesMax; pauses++) {
            const numbers = await readNumbers(log, 'orders', 0)
            assertNumbers(numbers, numbersTo(numbers.length))
            await pause()
          }
        }
        await Promise.all([appendAll(), readUntilAppended()])
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(100))
      },
    },
    {
      id: 'concurrency.turns',
      promise: 'processes that take turns append each where the other ended, and each reads what the other wrote',
      fault: 'share',
      async run(world) {
        const logs = [world.log, await world.share!()]
        for (let number = 1; number <= 12; number++)
          await logs[Math.floor((number - 1) / 2) % 2]!.append('orders', [createRecord('orders', 0, number)])
        for (const log of logs) assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(12))
      },
    },
    {
      id: 'concurrency.partitions',
      promise:
        'processes that append to different partitions of one source, at the same time, do not disturb each other; each reads what all wrote',
      fault: 'share',
      async run(world) {
        const logs = [world.log, await world.share!(), await world.share!()]
        const appendAll = async (log: Log, partition: number): Promise<void> => {
          for (let first = 1; first <= 60; first += 3)
            await log.append('orders', createRecords('orders', partition, first, first + 2))
        }
        await Promise.all(logs.map((log, partition) => appendAll(log, partition)))
        for (const log of logs)
          for (const partition of logs.keys()) {
            assertNumbers(await readNumbers(log, 'orders', partition), numbersTo(60))
            const onePerPage = await readAll(log, 'orders', partition, null, 1)
            assertNumbers(
              onePerPage.map(({ number }) => number),
              numbersTo(60),
            )
          }
      },
    },
  ],
}

import assert from 'node:assert/strict'
import { until, type LogChapter } from './harness.ts'
import { createRecord, createRecords, numbersTo, readNumbers } from './records.ts'

export const watch: LogChapter = {
  name: 'watch',
  tests: [
    {
      id: 'watch.hints',
      promise: 'a listener is told of each partition that has new records',
      async run({ log }, harness) {
        const told = new Set<number>()
        log.watch('orders', (partition) => told.add(partition))
        await log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 5, 1)])
        await until(harness, 'a hint for partitions 0 and 5', () => told.has(0) && told.has(5))
      },
    },
    {
      id: 'watch.suffices',
      promise: 'a listener that reads when it is told, and only then, gets every record',
      async run({ log }, harness) {
        let count = 0
        let failure: unknown
        const readOn = async (): Promise<void> => {
          count = Math.max(count, (await readNumbers(log, 'orders', 0)).length)
        }
        log.watch('orders', () => void readOn().catch((error: unknown) => (failure = error)))
        for (const [first, last] of [
          [1, 3],
          [4, 4],
          [5, 40],
        ] as const) {
          await log.append('orders', createRecords('orders', 0, first, last))
          await until(
            harness,
            `a hint after which ${last} records can be read`,
            () => count === last || failure !== undefined,
          )
          assert.equal(failure, undefined)
        }
      },
    },
    {
      id: 'watch.several',
      promise: 'every listener of a source is told, also when one function listens twice',
      async run({ log }, harness) {
        let first = 0
        let second = 0
        const count = (): void => void first++
        const end = log.watch('orders', count)
        log.watch('orders', count)
        log.watch('orders', () => void second++)
        end()
        await log.append('orders', [createRecord('orders', 0, 1)])
        await until(harness, 'a hint to both listeners', () => first > 0 && second > 0)
      },
    },
    {
      id: 'watch.ends',
      promise: 'a listener that was ended is told nothing more, and ending it again does nothing',
      async run({ log }, harness) {
        let late = 0
        let witness = 0
        const end = log.watch('orders', () => void late++)
        log.watch('orders', () => void witness++)
        end()
        end()
        for (const number of numbersTo(3)) {
          const before = witness
          await log.append('orders', [createRecord('orders', 0, number)])
          await until(harness, 'a hint to the other listener', () => witness > before)
          await harness.pause()
        }
        assert.equal(late, 0)
      },
    },
    {
      id: 'watch.ends-at-once',
      promise: 'once a listener was ended it is told nothing, not even what was on its way',
      async run({ log }, harness) {
        let ended = false
        let late = 0
        let witness = 0
        log.watch('orders', () => {
          endOther()
          ended = true
        })
        const endOther = log.watch('orders', () => {
          if (ended) late++
        })
        log.watch('orders', () => void witness++)
        await log.append('orders', [createRecord('orders', 0, 1)])
        await until(harness, 'a hint to the last listener', () => witness > 0)
        assert.equal(late, 0)
      },
    },
  ],
}

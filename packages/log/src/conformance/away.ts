import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Log } from '../driver.ts'
import { until, type LogChapter, type LogHarness } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, createRecords, numbersTo, readNumbers } from './records.ts'

/**
 * What can be asked of a log on whose partition 0 of `orders` are three records; a read of those a log may answer from
 * memory.
 */
export const calls: Readonly<Record<string, (log: Log) => Promise<unknown>>> = {
  append: (log) => log.append('orders', [createRecord('orders', 0, 4)]),
  'read of a partition that nothing is in': (log) => log.read('orders', 7, null, 10),
  tail: (log) => log.tail('orders', 0),
  examine: (log) => log.examine(),
}

export const away: LogChapter = {
  name: 'an engine out of reach',
  tests: [
    {
      id: 'away.refuses',
      promise:
        'while the engine is out of reach every call is refused with UNAVAILABLE; afterwards the log works by itself, and nothing that was refused is written late',
      fault: 'cut',
      async run({ log, cut }, harness) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const heal = await cut!()
        await until(harness, 'the log notices', () => isRefused(log.tail('orders', 0)))
        for (const call of Object.values(calls)) await assertRefused('UNAVAILABLE', settled(harness, call(log)))
        await heal()
        await answersAgain(harness, log)
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
        await appendsAgain(harness, log, 4, 6)
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
      },
    },
    {
      id: 'away.opens',
      promise:
        'a log opens while its engine is out of reach, refuses with UNAVAILABLE, and works by itself when the engine is there',
      fault: 'cut',
      async run(world, harness) {
        await world.log.append('orders', createRecords('orders', 0, 1, 3))
        await world.log.close()
        const heal = await world.cut!()
        const log = await world.reopen()
        log.watch('orders', () => {})
        for (const call of Object.values(calls)) await assertRefused('UNAVAILABLE', settled(harness, call(log)))
        await heal()
        await answersAgain(harness, log)
        await appendsAgain(harness, log, 4, 6)
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
      },
    },
    {
      id: 'away.hints',
      promise: 'a listener hears of what others append again when the engine was out of reach and is back',
      fault: 'cut',
      async run({ log, cut, share }, harness) {
        const other = await share!() // where the network can fail, there are others
        let hints = 0
        let number = 0
        log.watch('orders', () => hints++)
        const isHeard = async (): Promise<boolean> => {
          await other.append('orders', [createRecord('orders', 0, ++number)])
          return hints > 0
        }
        await until(harness, 'a hint', isHeard)
        const heal = await cut!()
        await until(harness, 'the log notices', () => isRefused(log.tail('orders', 0)))
        await heal()
        await answersAgain(harness, log)
        hints = 0
        await until(harness, 'a hint after the cut', isHeard)
      },
    },
    {
      id: 'away.silent',
      promise:
        'a call of an engine that accepts everything and answers nothing is refused with UNAVAILABLE in time, and afterwards the log works by itself',
      fault: 'silence',
      async run({ log, silence }, harness) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const heal = await silence!()
        const refusals = Object.values(calls).map((call) => assertRefused('UNAVAILABLE', settled(harness, call(log))))
        await Promise.all(refusals)
        await heal()
        await answersAgain(harness, log)
        await appendsAgain(harness, log, 4, 6) // the silent engine may have had the first of them
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
      },
    },
    {
      id: 'away.closes',
      promise: 'a log closes in time while its engine answers nothing, and its appends under way are refused',
      fault: 'silence',
      async run({ log, silence }, harness) {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        await silence!()
        const append = log.append('orders', [createRecord('orders', 0, 4)]).then(
          () => 'taken',
          () => 'refused',
        )
        await settled(harness, log.close())
        assert.equal(await settled(harness, append), 'refused')
      },
    },
  ],
}

async function isRefused(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return false
  } catch (error) {
    if (error instanceof AtollError && error.code === 'UNAVAILABLE') return true
    throw error
  }
}

/** What a call comes to; rejects if that takes longer than any limit of time that a log has. */
async function settled<T>(harness: LogHarness, call: Promise<T>): Promise<T> {
  let isOver = false
  const end = (): void => void (isOver = true)
  call.then(end, end)
  for (let pauses = 0; !isOver && pauses < outagePausesMax; pauses++) await harness.pause()
  assert.ok(isOver, 'this goes on for ever')
  return call
}

/** At five milliseconds each, half a minute. */
const outagePausesMax = 6_000

/** Resolves when the log can be asked again; it may append and read by connections of their own. */
async function answersAgain(harness: LogHarness, log: Log): Promise<void> {
  await until(
    harness,
    'the log answers',
    async () => !(await isRefused(log.tail('orders', 0))) && !(await isRefused(log.read('orders', 0, null, 10))),
  )
}

/** Appends until that is taken: what was lost on the way is in the log, or is written now. */
async function appendsAgain(harness: LogHarness, log: Log, first: number, last: number): Promise<void> {
  await until(
    harness,
    'the log appends',
    async () => !(await isRefused(log.append('orders', createRecords('orders', 0, first, last)))),
  )
}

import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Log } from '../driver.ts'
import { pausesMax, until, type LogChapter, type LogHarness, type LogWorld } from './harness.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readNumbers,
  readOnce,
} from './records.ts'

/**
 * What can be asked of a log on whose partition 0 of `orders` are three records; a read of those a log may answer from
 * memory.
 */
const calls: Readonly<Record<string, (log: Log) => Promise<unknown>>> = {
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
      run: (world, harness) => assertOpens(world, harness, () => world.cut!()),
    },
    {
      id: 'away.opens-silent',
      promise:
        'a log opens where its engine takes connections and answers nothing, refuses with UNAVAILABLE, and works by itself when the engine answers',
      fault: 'silence',
      run: (world, harness) => assertOpens(world, harness, () => world.silence!()),
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
    {
      id: 'away.lost-answer',
      promise: 'an append whose answers were lost is there once when it is made again',
      fault: 'loseAnswers',
      async run({ log, loseAnswers, share }, harness) {
        const other = await share!()
        await log.append('orders', createRecords('orders', 0, 1, 3))
        const heal = await loseAnswers!()
        await assertRefused('UNAVAILABLE', settled(harness, log.append('orders', createRecords('orders', 0, 4, 6))))
        await heal()
        await appendsAgain(harness, log, 4, 8)
        await answersAgain(harness, log)
        for (const one of [log, other]) {
          assertNumbers(await readOnce(one, 'orders', 0), numbersTo(8))
          assert.equal((await one.tail('orders', 0))?.number, 8)
        }
      },
    },
    {
      id: 'away.torn',
      promise: 'an append that was torn anywhere can be made again, and leaves neither a hole nor a repeat',
      fault: 'resetAfter',
      async run({ log, resetAfter, share }, harness) {
        const other = await share!()
        const partitions = [0, 1, 2]
        const append = (first: number, last: number): Promise<void> =>
          log.append(
            'orders',
            partitions.flatMap((partition) => createRecords('orders', partition, first, last)),
          )
        let last = 10
        let refusals = 0
        await append(1, last)
        for (const bytes of [1, 50, 200, 1_000, 2_000, 4_000, 7_000, 11_000]) {
          resetAfter!(bytes)
          if (await isRefused(settled(harness, append(last + 1, last + 20)))) refusals++
          for (const partition of partitions) {
            const numbers = await readOnce(other, 'orders', partition)
            assertNumbers(numbers, numbersTo(numbers.length))
          }
          await until(harness, 'the log appends', async () => !(await isRefused(append(last + 1, last + 20))))
          last += 20
        }
        assert.ok(refusals > 0, 'no append was torn')
        for (const partition of partitions) assertNumbers(await readOnce(other, 'orders', partition), numbersTo(last))
      },
    },
    {
      id: 'away.restart',
      promise:
        'while the engine is killed and started again and again, nothing is taken for lost: calls answer or are refused with UNAVAILABLE or OVERLOADED, and each record whose append resolved is there, once and in order',
      fault: 'restart',
      async run({ log, restart }, harness) {
        const waited = ['UNAVAILABLE', 'OVERLOADED'] // behind a call that waits for an engine that has gone
        let acknowledged = 0
        let taken = 0
        let isOver = false
        const append = async (): Promise<void> => {
          for (; !isOver; await harness.pause()) {
            // From some thousand on, the last ones again: an engine that is fast would leave too much to read.
            const last = Math.min(acknowledged + 20, 4_000)
            if (await isRefused(log.append('orders', createRecords('orders', 0, last - 19, last)), waited)) continue
            acknowledged = last
            taken++
          }
        }
        const read = async (): Promise<void> => {
          const { offset } = (await log.tail('orders', 0))!
          for (; !isOver; await harness.pause()) {
            await isRefused(log.read('orders', 0, offset, 10), waited)
            await isRefused(log.tail('orders', 0), waited)
          }
        }
        const end = (): void => void (isOver = true)
        await log.append('orders', createRecords('orders', 0, 1, 20))
        const working = Promise.all([append(), read()])
        working.catch(end)
        try {
          for (let kills = 0; kills <= 3; kills++) {
            const before = taken
            await until(harness, 'some appends', () => isOver || taken > before + 5)
            if (kills < 3 && !isOver) await restart!()
          }
        } finally {
          end()
        }
        await working
        await answersAgain(harness, log)
        assertNumbers(await readOnce(log, 'orders', 0), numbersTo(acknowledged))
        assert.equal((await log.tail('orders', 0))?.number, acknowledged)
      },
    },
    {
      id: 'away.credentials',
      promise: 'a log whose credentials are refused says so with UNAVAILABLE, and does not say what they are',
      fault: 'impostor',
      async run({ impostor }, harness) {
        const { log, secret } = await impostor!()
        for (const call of Object.values(calls)) {
          const { message } = await assertRefused('UNAVAILABLE', settled(harness, call(log)))
          assert.match(message, /credentials/)
          assert.ok(!message.includes(secret), 'the message says the secret')
        }
        await log.close()
      },
    },
  ],
}

async function assertOpens(
  world: LogWorld,
  harness: LogHarness,
  leave: () => Promise<() => Promise<void>>,
): Promise<void> {
  await world.log.append('orders', createRecords('orders', 0, 1, 3))
  await world.log.close()
  const heal = await leave()
  const log = await settled(harness, world.reopen())
  log.watch('orders', () => {})
  for (const call of Object.values(calls)) await assertRefused('UNAVAILABLE', settled(harness, call(log)))
  await heal()
  await answersAgain(harness, log)
  await appendsAgain(harness, log, 4, 6)
  assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
}

/** Whether a call was refused, with one of these codes. */
async function isRefused(call: Promise<unknown>, codes: readonly string[] = ['UNAVAILABLE']): Promise<boolean> {
  try {
    await call
    return false
  } catch (error) {
    if (error instanceof AtollError && codes.includes(error.code)) return true
    throw error
  }
}

/** What a call comes to; rejects if that takes longer than any limit of time that a log has. */
async function settled<T>(harness: LogHarness, call: Promise<T>): Promise<T> {
  let isOver = false
  const end = (): void => void (isOver = true)
  call.then(end, end)
  for (let pauses = 0; !isOver && pauses < pausesMax; pauses++) await harness.pause()
  assert.ok(isOver, 'this goes on for ever')
  return call
}

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

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import type { LogFields, Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { assertNumbers, assertRefused, createRecords, numbersTo, readNumbers } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createKafkaLog } from '../../kafka.ts'
import type { Fate, KafkaProxy } from '../../../test/kafka/proxy.ts'
import { startRefusing } from '../../../test/kafka/refusing.ts'
import { eventually, inKafkaWorld, type KafkaWorld } from '../../../test/kafka/world.ts'

const PRODUCE = 0

describe('the Kafka log, when the way to the broker fails', () => {
  const inWorld = (body: (world: KafkaWorld) => Promise<void>) => () => inKafkaWorld(engineUrl('kafka'), body)

  it(
    'takes an append again whose answer was lost, without a repeat',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker] })
      await log.append('orders', createRecords('orders', 0, 1, 3))
      once(proxy, 'cut after')
      await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, 4, 6)))
      await appendAgain(log, 'orders', 4, 8)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(8))
    }),
  )

  it(
    'writes nothing of a partition behind a batch that failed',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker] })
      await log.append('orders', createRecords('orders', 0, 1, 1))
      const data = JSON.stringify('x'.repeat(400_000)) // two of them fill a batch
      const records = createRecords('orders', 0, 2, 9).map((record) => ({ ...record, data }))
      let produces = 0
      proxy.fateOf = (kind) => (kind === PRODUCE && ++produces === 3 ? 'cut before' : 'pass')
      await assertRefused('UNAVAILABLE', log.append('orders', records))
      assertNumbers(await numbersOnceUp(log), numbersTo(5))
      await log.append('orders', records)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(9))
    }),
  )

  it(
    'does not write a batch any more that was on its way when its writer was replaced',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const slow = await world.open({ brokers: [proxy.broker], limits: { callMs: 1_000 } })
      await appendAgain(slow, 'orders', 1, 3)
      once(proxy, 'hold')
      const under = assertRefused('UNAVAILABLE', slow.append('orders', createRecords('orders', 0, 4, 6)))
      await eventually('the batch is on its way', () => proxy.held.length === 1)
      const other = await world.open()
      await other.append('orders', createRecords('orders', 0, 4, 5))
      proxy.held[0]!()
      await under
      await other.append('orders', createRecords('orders', 0, 6, 8))
      assertNumbers(await readNumbers(other, 'orders', 0), numbersTo(8))
      assert.equal((await other.tail('orders', 0))?.number, 8)
    }),
  )

  it(
    'says UNAVAILABLE within its bound while a broker takes connections and answers nothing, and goes on by itself when that is over',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker], limits: { callMs: 1_000, connectMs: 500 } })
      await appendAgain(log, 'orders', 1, 3)
      const { offset } = (await log.tail('orders', 0))!
      proxy.silence()
      const calls = [
        () => log.read('orders', 0, offset, 10),
        () => log.tail('orders', 0),
        () => log.append('orders', createRecords('orders', 0, 4, 6)),
        () => log.examine(),
      ]
      for (const call of calls) {
        const beganMs = performance.now()
        await assertRefused('UNAVAILABLE', call())
        assert.ok(performance.now() - beganMs < 3_000, 'it took longer than it may')
      }
      proxy.speak()
      await appendAgain(log, 'orders', 4, 6)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
    }),
  )

  it(
    'opens while no broker can be reached, refuses promptly and says so once, and works when one can be',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      await proxy.refuse()
      const lines: string[] = []
      const log = await world.open({ brokers: [proxy.broker], logger: loggerTo(lines) })
      for (const call of [
        () => log.read('orders', 0, null, 10),
        () => log.tail('orders', 0),
        () => log.append('orders', createRecords('orders', 0, 1, 1)),
        () => log.examine(),
      ]) {
        const beganMs = performance.now()
        await assertRefused('UNAVAILABLE', call())
        assert.ok(performance.now() - beganMs < 200, 'it was not prompt')
      }
      await proxy.listen()
      await appendAgain(log, 'orders', 1, 3)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.match(lines[0]!, /^Kafka at \S+ cannot be reached/)
      assert.match(lines[1]!, /^Kafka at \S+ answers again/)
    }),
  )

  it('says that it is the credentials when a broker does not take them', async () => {
    const broker = await startRefusing()
    const options = { brokers: [`127.0.0.1:${broker.port}`], system: 'shop', partitions: 1, host: createNodeHost() }
    const log = await createKafkaLog({ ...options, sasl: { mechanism: 'PLAIN', username: 'alice', password: 'wrong' } })
    const error = await assertRefused('UNAVAILABLE', log.tail('orders', 0))
    assert.match(error.message, /credentials/)
    assert.doesNotMatch(error.message, /wrong|alice/)
    await log.close()
    broker.close()
  })

  it(
    'goes on by itself after all connections were torn, at any time',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker] })
      for (let number = 1; number <= 40; number++) {
        if (number % 5 === 0) proxy.tear()
        await appendAgain(log, 'orders', number, number)
      }
      assertNumbers(await numbersOnceUp(log), numbersTo(40))
    }),
  )

  it(
    'tells a listener of what others appended while the connection was down',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker] })
      const other = await world.open()
      await other.append('orders', createRecords('orders', 3, 1, 1))
      let told = 0
      log.watch('orders', (partition) => void (told += partition === 3 ? 1 : 0))
      await eventually('a first hint', () => told === 1)
      await proxy.refuse()
      await other.append('orders', createRecords('orders', 3, 2, 2))
      await proxy.listen()
      await eventually('a hint of what came meanwhile', () => told === 2)
    }),
  )

  it(
    'rejects what waits when it is closed while no broker answers, and leaves nothing that keeps the process alive',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker], limits: { callMs: 1_000 } })
      await appendAgain(log, 'orders', 1, 1)
      proxy.silence()
      const reading = assertRefused('LOG_CLOSED', log.read('orders', 0, null, 10))
      const appending = assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, 2, 2)))
      await log.close()
      await Promise.all([reading, appending])
    }),
  )
})

/** The next produce meets that fate, and those after it none. */
function once(proxy: KafkaProxy, fate: Fate): void {
  proxy.fateOf = (kind) => {
    if (kind !== PRODUCE) return 'pass'
    proxy.fateOf = () => 'pass'
    return fate
  }
}

/** Appends as a relay does: again and again, until it is told that it was done. */
async function appendAgain(log: Log, source: string, first: number, last: number): Promise<void> {
  await eventually('an append is taken', () =>
    log.append(source, createRecords(source, 0, first, last)).then(
      () => true,
      (error: { code?: string }) => {
        assert.equal(error.code, 'UNAVAILABLE')
        return false
      },
    ),
  )
}

async function numbersOnceUp(log: Log): Promise<number[]> {
  let numbers: number[] = []
  await eventually('the log can be read', () =>
    readNumbers(log, 'orders', 0).then(
      (found) => {
        numbers = found
        return true
      },
      () => false,
    ),
  )
  return numbers
}

function loggerTo(lines: string[]): Logger {
  const note = (_fields: LogFields, message: string): void => void lines.push(message)
  return { info: note, warn: note, error: note }
}

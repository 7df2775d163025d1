import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import type { Fate, KafkaProxy } from '../../../test/kafka/proxy.ts'
import { inKafkaWorld, type KafkaWorld } from '../../../test/kafka/world.ts'
import { assertNumbers, assertRefused, createRecords, numbersTo, readNumbers } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'

// What every log does when its engine is away is in the suite.

const PRODUCE = 0

describe('the Kafka log, when the way to the broker fails', () => {
  const inWorld = (body: (world: KafkaWorld) => Promise<void>) => () => inKafkaWorld(engineUrl('kafka'), body)

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
      await slow.append('orders', createRecords('orders', 0, 1, 3))
      once(proxy, 'hold')
      const under = assertRefused('UNAVAILABLE', slow.append('orders', createRecords('orders', 0, 4, 6)))
      await until('the batch is on its way', () => proxy.held.length === 1)
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
    'tells a listener of what others appended while the connection was down',
    inWorld(async (world) => {
      const proxy = await world.proxy()
      const log = await world.open({ brokers: [proxy.broker] })
      const other = await world.open()
      await other.append('orders', createRecords('orders', 3, 1, 1))
      let told = 0
      log.watch('orders', (partition) => void (told += partition === 3 ? 1 : 0))
      await until('a first hint', () => told === 1)
      await proxy.refuse()
      await other.append('orders', createRecords('orders', 3, 2, 2))
      await proxy.listen()
      await until('a hint of what came meanwhile', () => told === 2)
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

async function numbersOnceUp(log: Log): Promise<number[]> {
  let numbers: number[] = []
  await until('the log can be read', () =>
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

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { createNetwork, type Network } from '../../../test/network.ts'
import { deleteStreams, freshSystem, noting } from '../../../test/rabbitmq/harness.ts'
import { assertNumbers, assertRefused, createRecords, numbersTo, readOnce } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createRabbitmqLog, type RabbitmqLogLimits } from '../../rabbitmq.ts'

// What every log does when its engine is away is in the suite.

const url = engineUrl('rabbitmq')
const host = createNodeHost()
const limits: Partial<RabbitmqLogLimits> = { reconnectMsMax: 100 }

/** Runs `body` with a log whose network to RabbitMQ can fail, and another that reaches it directly. */
async function withNetwork(
  body: (log: Log, network: Network, other: Log) => Promise<void>,
  more: Partial<RabbitmqLogLimits> = {},
): Promise<void> {
  const network = await createNetwork(url, 5672)
  const system = freshSystem()
  const streams = new Set<string>()
  const log = noting(
    await createRabbitmqLog({ url: network.url, system, host, limits: { ...limits, ...more } }),
    system,
    streams,
  )
  const other = noting(await createRabbitmqLog({ url, system, host }), system, streams)
  try {
    await until('the log is connected', async () => (await log.tail('orders', 0)) === null)
    await body(log, network, other)
  } finally {
    await Promise.all([log.close(), other.close()])
    await network.close()
    await deleteStreams(url, streams)
  }
}

/** Asserts that who drops known numbers gets these; after a fault the connection that reads may need a moment. */
async function shows(log: Log, last: number): Promise<void> {
  await until(`the log shows ${last} records`, async () => {
    assertNumbers(await readOnce(log, 'orders', 0), numbersTo(last))
    return true
  })
}

it('a log on RabbitMQ says that there is no such virtual host', async () => {
  const by = new URL(url.replace(/^[a-z]+/, 'amqp'))
  by.pathname = '/nowhere'
  const log = await createRabbitmqLog({ url: by.href, system: 'shop', host, limits })
  const { message } = await assertRefused('UNAVAILABLE', log.tail('orders', 0))
  assert.match(message, /virtual host/)
  await log.close()
})

describe('a log whose connection is cut', () => {
  it('sees at once, when it has another, what it had not found before and was not told of meanwhile', () =>
    withNetwork(
      async (log, network, other) => {
        // which it believes from now on, until it hears of a record
        assert.deepEqual(await log.read('orders', 0, null, 10), [])
        const heal = await network.cut()
        await until('the log notices', () =>
          log.read('orders', 0, null, 10).then(
            () => false,
            () => true,
          ),
        )
        await other.append('orders', createRecords('orders', 0, 1, 3))
        await heal()
        await shows(log, 3)
      },
      { missingMs: 600_000 },
    ))

  it('in the middle of an append, rejects it and what waits behind it, and has all of it in order after it is made again', () =>
    withNetwork(async (log, { resetAfter }) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      for (const [time, bytes] of [50, 2_000, 15_000].entries()) {
        const [first, last] = [4 + time * 100, 103 + time * 100]
        resetAfter(bytes)
        const append = assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, first, last)))
        await Promise.resolve().then(() => undefined) // the message of the first is on its way
        const behind = assertRefused(
          'UNAVAILABLE',
          log.append('orders', createRecords('orders', 0, last + 1, last + 5)),
        )
        await Promise.all([append, behind])
        await until('the log appends again', () =>
          log.append('orders', createRecords('orders', 0, first, last)).then(() => true),
        )
        await shows(log, last) // both connections are there again
      }
    }))
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import type { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { readOnce } from '../../../test/numbers.ts'
import { createProxy, type Proxy } from '../../../test/proxy.ts'
import { deleteStreams, freshSystem, noting } from '../../../test/rabbitmq/harness.ts'
import { withServer } from '../../../test/rabbitmq/server.ts'
import { createRecorder } from '../../../test/recorder.ts'
import {
  appendsAgain,
  assertOpensWithoutAnAnswer,
  assertWaitsForItsEngine,
  callMs,
  calls,
} from '../../../test/trouble.ts'
import { eventually } from '../../../test/waiting.ts'
import { assertNumbers, assertRefused, createRecords, numbersTo } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createRabbitmqLog, type RabbitmqLogLimits } from '../../rabbitmq.ts'

const url = engineUrl('rabbitmq')
const host = createNodeHost()
const address = new URL(url.replace(/^[a-z]+/, 'http')) // a scheme that URL knows how to take apart
const credentials = address.username ? `${address.username}:${address.password}` : 'guest:guest'
const limits: Partial<RabbitmqLogLimits> = { callMs, connectMs: callMs, reconnectMsMax: 100 }

/** Runs `body` with a log that reaches its RabbitMQ through a proxy, and another that reaches it directly. */
async function withProxy(
  body: (log: Log, proxy: Proxy, lines: readonly string[], other: Log) => Promise<void>,
  more: Partial<RabbitmqLogLimits> = {},
): Promise<void> {
  const proxy = await createProxy({ host: address.hostname, port: Number(address.port || 5672) })
  const system = freshSystem()
  const streams = new Set<string>()
  const recorder = createRecorder()
  const log = noting(
    await createRabbitmqLog({
      url: `amqp://${credentials}@127.0.0.1:${proxy.port}`,
      system,
      host,
      logger: recorder,
      limits: { ...limits, ...more },
    }),
    system,
    streams,
  )
  const other = noting(await createRabbitmqLog({ url, system, host }), system, streams)
  try {
    await eventually('the log is connected', async () => (await log.tail('orders', 0)) === null)
    await body(log, proxy, recorder.lines, other)
  } finally {
    await Promise.all([log.close(), other.close()])
    await proxy.close()
    await deleteStreams(url, streams)
  }
}

/** Asserts that who drops known numbers gets these; after a fault the connection that reads may need a moment. */
async function shows(log: Log, last: number): Promise<void> {
  await eventually(`the log shows ${last} records`, async () => {
    assertNumbers(await readOnce(log, 'orders', 0), numbersTo(last))
    return true
  })
}

describe('a log on a RabbitMQ that cannot be reached', () => {
  it('opens, refuses calls at once, says so once, and works when RabbitMQ has come', () =>
    withServer((server) =>
      assertWaitsForItsEngine({ kill: () => server.kill(), start: () => server.restart() }, (logger) =>
        createRabbitmqLog({ url: server.url, system: 'shop', host, logger, limits }),
      ),
    ))

  it('opens where something accepts connections and never answers', () =>
    assertOpensWithoutAnAnswer((port) =>
      createRabbitmqLog({ url: `amqp://127.0.0.1:${port}`, system: 'shop', host, limits }),
    ))

  it('says that the credentials are wrong, or the virtual host', async () => {
    for (const [wrong, why] of [
      [`amqp://guest:not-this@${address.host}`, /refuses the credentials/],
      [`amqp://nobody:a-secret@${address.host}`, /refuses the credentials/],
    ] as const) {
      const log = await createRabbitmqLog({
        url: wrong,
        system: 'shop',
        host,
        limits: { ...limits, connectMs: 20_000 },
      })
      for (const call of [calls.append!, calls.read!]) {
        const error = await assertRefused('UNAVAILABLE', call(log))
        assert.match(error.message, why)
        assert.doesNotMatch(error.message, /not-this|a-secret/)
      }
      await log.close()
    }
    const log = await createRabbitmqLog({
      url: `amqp://${credentials}@${address.host}/nowhere`,
      system: 'shop',
      host,
      limits: { ...limits, connectMs: 20_000 },
    })
    const error = await assertRefused('UNAVAILABLE', log.tail('orders', 0))
    assert.match(error.message, /virtual host/)
    await log.close()
  })
})

describe('a log on a RabbitMQ that is killed', () => {
  it('has every record whose append resolved, and takes nothing for lost while RabbitMQ gets ready', () =>
    withServer(async (server) => {
      const log = await createRabbitmqLog({ url: server.url, system: 'shop', host, limits })
      let acknowledged = 0
      const appendAll = async (): Promise<void> => {
        for (;;) {
          // From some thousand on, the last ones again: how long it takes until RabbitMQ is killed must not decide how
          // much there is to read.
          const last = Math.min(acknowledged + 20, 4_000)
          await log.append('orders', createRecords('orders', 0, last - 19, last))
          acknowledged = last
        }
      }
      const appending = assertRefused('UNAVAILABLE', appendAll())
      await eventually('some appends', () => acknowledged > 200)
      const { offset } = (await log.tail('orders', 0))!
      await log.read('orders', 0, offset, 10)
      await server.kill()
      await appending
      const refusals = new Set<unknown>()
      const restarting = server.restart()
      await eventually('the log answers as before', async () => {
        const answers = await Promise.allSettled([
          log.read('orders', 0, offset, 10),
          log.tail('orders', 0),
          log.append('orders', createRecords('orders', 0, acknowledged + 1, acknowledged + 1)),
        ])
        // a log rejects with nothing else
        for (const answer of answers) if (answer.status === 'rejected') refusals.add((answer.reason as AtollError).code)
        return answers.every(({ status }) => status === 'fulfilled')
      })
      await restarting
      assert.deepEqual([...refusals], ['UNAVAILABLE'])
      await shows(log, acknowledged + 1)
      assert.equal((await log.tail('orders', 0))?.number, acknowledged + 1)
      await log.close()
    }))
})

describe('a log whose connection is cut', () => {
  it('sees at once, when it has another, what it had not found before and was not told of meanwhile', () =>
    withProxy(
      async (log, proxy, _lines, other) => {
        // which it believes from now on, until it hears of a record
        assert.deepEqual(await log.read('orders', 0, null, 10), [])
        proxy.cut(false)
        await eventually('the log notices', () =>
          log.read('orders', 0, null, 10).then(
            () => false,
            () => true,
          ),
        )
        await other.append('orders', createRecords('orders', 0, 1, 3))
        proxy.heal()
        await shows(log, 3)
      },
      { missingMs: 600_000 },
    ))

  it('in the middle of an append, rejects it and what waits behind it, and has all of it in order after it is made again', () =>
    withProxy(async (log, proxy) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      for (const [time, bytes] of [50, 2_000, 15_000].entries()) {
        const [first, last] = [4 + time * 100, 103 + time * 100]
        proxy.cutAfter(bytes)
        const append = assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, first, last)))
        await Promise.resolve().then(() => undefined) // the message of the first is on its way
        const behind = assertRefused(
          'UNAVAILABLE',
          log.append('orders', createRecords('orders', 0, last + 1, last + 5)),
        )
        await Promise.all([append, behind])
        await appendsAgain(log, first, last)
        await shows(log, last) // both connections are there again
      }
    }))

  it('after RabbitMQ has taken an append and before it could say so, shows each record once to who drops known numbers', () =>
    withProxy(async (log, proxy, _lines, other) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      proxy.deafen()
      await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, 4, 40)))
      await eventually('RabbitMQ has it all the same', async () => (await other.tail('orders', 0))?.number === 40)
      proxy.heal()
      await appendsAgain(log, 4, 41)
      await shows(log, 41)
      await shows(other, 41)
      assert.equal((await log.tail('orders', 0))?.number, 41)
    }))
})

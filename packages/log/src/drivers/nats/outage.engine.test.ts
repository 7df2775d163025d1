import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { AtollError, type LogFields, type Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createProxy, type Proxy } from '../../../test/nats/proxy.ts'
import { withNatsServer } from '../../../test/nats/server.ts'
import { withNats, type NatsWorld } from '../../../test/nats/world.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createNatsLog, type NatsLogLimits } from '../../nats.ts'

const url = engineUrl('nats')
const host = createNodeHost()
const impatient: Partial<NatsLogLimits> = {
  callMs: 800,
  pingMs: 200,
  connectMs: 300,
  startMs: 300,
  reconnectMsMax: 100,
}

/** Resolves with what `attempt` does, tried again while the server cannot be reached; a bounded number of times. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = host.monotonicMs() + 20_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (AtollError.from(error).code !== 'UNAVAILABLE' || host.monotonicMs() > until) throw error
      await new Promise<void>((resolve) => void host.after(20, resolve))
    }
  }
}

/** Asserts that it is refused with UNAVAILABLE, and before `boundMs`. */
async function assertUnavailable(boundMs: number, attempt: Promise<unknown>): Promise<string> {
  const since = host.monotonicMs()
  const { message } = await assertRefused('UNAVAILABLE', attempt)
  const tookMs = host.monotonicMs() - since
  assert.ok(tookMs < boundMs, `it was refused after ${Math.round(tookMs)} ms only`)
  return message
}

async function assertWhole(log: Log, source: string, partition: number, last: number): Promise<void> {
  const records = await readAll(log, source, partition)
  assertNumbers(
    records.map(({ number }) => number),
    numbersTo(last),
  )
  for (const { id, number } of records) assert.equal(id, `${source}/${partition}/${number}`)
}

function createListeningLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const say = (level: string) => (fields: LogFields, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  return { lines, info: say('info'), warn: say('warn'), error: say('error') }
}

/** A log that reaches the engine through a network that can fail. */
function withProxy(body: (world: NatsWorld, proxy: Proxy, log: Log) => Promise<void>): Promise<void> {
  return withNats(url, async (world) => {
    const proxy = await createProxy(url)
    try {
      await body(world, proxy, await world.open({ servers: proxy.url, limits: impatient }))
    } finally {
      proxy.heal()
      await proxy.close()
    }
  })
}

describe('a log on NATS, when the network fails', () => {
  it('an append whose answer was lost is there once when it is made again', () =>
    withProxy(async ({ open }, proxy, log) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      proxy.loseAnswers()
      await assertUnavailable(1_000, log.append('orders', createRecords('orders', 0, 4, 6)))
      const direct = await open()
      await eventually(async () => assert.equal((await direct.tail('orders', 0))?.number, 6)) // it was written
      proxy.heal()
      await eventually(() => log.append('orders', createRecords('orders', 0, 4, 8)))
      await assertWhole(direct, 'orders', 0, 8)
    }))

  it('an append that was cut anywhere can be made again, and leaves neither a hole nor a repeat', () =>
    withProxy(async ({ open }, proxy, log) => {
      const direct = await open()
      const records = (first: number, last: number) =>
        [0, 1, 2].flatMap((partition) => createRecords('orders', partition, first, last))
      let last = 0
      await log.append('orders', records(1, (last = 10)))
      for (const bytes of [1, 50, 200, 1_000, 2_000, 4_000, 5_000, 7_000, 9_000, 11_000]) {
        proxy.cutAfter(bytes)
        await assertUnavailable(1_000, log.append('orders', records(last + 1, last + 20)))
        for (const partition of [0, 1, 2]) {
          const numbers = await readNumbers(direct, 'orders', partition)
          assertNumbers(numbers, numbersTo(numbers.length))
        }
        proxy.heal()
        await eventually(() => log.append('orders', records(last + 1, last + 20)))
        last += 20
      }
      for (const partition of [0, 1, 2]) await assertWhole(direct, 'orders', partition, last)
    }))

  it('a half-open connection is noticed, calls are refused in time, and it works again by itself', () =>
    withProxy(async (_, proxy, log) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      proxy.silence()
      await Promise.all([
        assertUnavailable(1_000, log.append('orders', [createRecord('orders', 0, 4)])),
        assertUnavailable(1_000, log.read('orders', 0, null, 10)),
        assertUnavailable(1_000, log.tail('orders', 0)),
        assertUnavailable(1_000, log.examine()),
      ])
      const message = await assertUnavailable(50, log.tail('orders', 0)) // from now on at once
      assert.match(message, /did not answer a ping/)
      await eventually(async () => {
        const { message } = await assertRefused('UNAVAILABLE', log.tail('orders', 0))
        if (!message.includes('accepts connections and does not answer')) throw new AtollError('UNAVAILABLE', message)
      })
      proxy.heal()
      await eventually(() => log.append('orders', [createRecord('orders', 0, 4)]))
      await assertWhole(log, 'orders', 0, 4)
    }))

  it('leaves no connections behind while it tries to reach a server that accepts them and says nothing', () =>
    withProxy(async (_, proxy, log) => {
      const before = proxy.accepted
      proxy.silence()
      await eventually(async () => void (proxy.accepted >= before + 6 || refuse('it has not tried often yet')))
      assert.ok(proxy.open <= 2, `${proxy.open} connections are open`)
      proxy.heal()
      await eventually(() => log.append('orders', [createRecord('orders', 0, 1)]))
    }))

  it('a listener hears of news again once the network is back', () =>
    withProxy(async ({ open }, proxy, log) => {
      let hints = 0
      log.watch('orders', () => hints++)
      const writer = await open()
      await writer.append('orders', [createRecord('orders', 0, 1)])
      await eventually(async () => void (hints > 0 || refuse('no hint yet')))
      proxy.silence()
      await assertUnavailable(1_000, log.tail('orders', 0))
      proxy.heal()
      await eventually(() => log.tail('orders', 0))
      hints = 0
      await writer.append('orders', [createRecord('orders', 0, 2)])
      await eventually(async () => void (hints > 0 || refuse('no hint yet')))
    }))

  it('is closed in time while nothing answers, and refuses what was under way', () =>
    withProxy(async (_, proxy, log) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      proxy.silence()
      const under = assert.rejects(log.append('orders', [createRecord('orders', 0, 4)]))
      const since = host.monotonicMs()
      await log.close()
      assert.ok(host.monotonicMs() - since < 1_500)
      await under
      await assertRefused('LOG_CLOSED', log.tail('orders', 0))
    }))
})

function refuse(message: string): never {
  throw new AtollError('UNAVAILABLE', message)
}

describe('a log on NATS, when the server fails', () => {
  it('is opened while no server is there, says so once, and works when one is', () =>
    withNatsServer(async (server) => {
      const logger = createListeningLogger()
      const log = await createNatsLog({ servers: server.url, system: 'shop', host, logger, limits: impatient })
      const message = await assertUnavailable(100, log.append('orders', [createRecord('orders', 0, 1)]))
      assert.match(message, /NATS at 127\.0\.0\.1:\d+ cannot be reached: .*refused/)
      let hints = 0
      log.watch('orders', () => hints++)
      await server.start()
      await eventually(() => log.append('orders', [createRecord('orders', 0, 1)]))
      await eventually(async () => void (hints > 0 || refuse('no hint yet')))
      assert.equal(logger.lines.length, 2)
      assert.match(logger.lines[0]!, /^warn NATS at \S+ cannot be reached/)
      assert.match(logger.lines[1]!, /^info NATS at \S+ answers again/)
      await log.close()
    }))

  it('loses, doubles and reorders nothing while the server is killed and started again and again under appends', () =>
    withNatsServer(async (server) => {
      await server.start()
      const log = await createNatsLog({
        servers: server.url,
        system: 'shop',
        host,
        limits: { ...impatient, messageRecordsMax: 5 },
      })
      let acknowledged = 0
      let isOver = false
      const append = async (): Promise<void> => {
        while (!isOver) {
          const records = [0, 1, 2].flatMap((partition) =>
            createRecords('orders', partition, acknowledged + 1, acknowledged + 20),
          )
          await eventually(() => log.append('orders', records))
          acknowledged += 20
        }
      }
      const appending = append()
      for (let kill = 0; kill < 6; kill++) {
        const from = acknowledged
        await eventually(async () => void (acknowledged >= from + 100 || refuse('not enough yet')))
        await server.kill()
        await server.start()
      }
      isOver = true
      await appending
      for (const partition of [0, 1, 2]) await assertWhole(log, 'orders', partition, acknowledged)
      await log.close()
    }))

  it('notices a server that stands still, and goes on when it does', () =>
    withNatsServer(async (server) => {
      await server.start()
      const log = await createNatsLog({ servers: server.url, system: 'shop', host, limits: impatient })
      await log.append('orders', createRecords('orders', 0, 1, 3))
      server.pause()
      await assertUnavailable(1_000, log.append('orders', createRecords('orders', 0, 4, 6)))
      server.resume()
      await eventually(() => log.append('orders', createRecords('orders', 0, 4, 6)))
      await assertWhole(log, 'orders', 0, 6)
      await log.close()
    }))

  it('says that credentials are wrong, goes on trying, and works once they are right', () =>
    withNatsServer(async (server) => {
      const jetstream = 'jetstream { store_dir: "data" }'
      await server.start(`${jetstream}\nauthorization { user: shop, password: right }`)
      const logger = createListeningLogger()
      const wrong = await createNatsLog({
        servers: server.url.replace('//', '//shop:wr%6Fng@'),
        system: 'shop',
        host,
        logger,
        limits: impatient,
      })
      const message = await assertUnavailable(100, wrong.tail('orders', 0))
      assert.match(message, /refuses the credentials/)
      assert.doesNotMatch(message + logger.lines.join(), /wrong/)
      const right = await createNatsLog({
        servers: server.url,
        system: 'shop',
        host,
        credentials: { user: 'shop', password: 'right' },
        limits: impatient,
      })
      await right.append('orders', [createRecord('orders', 0, 1)])
      await server.kill()
      await server.start(`${jetstream}\nauthorization { user: shop, password: wrong }`)
      await eventually(async () => assert.equal((await wrong.tail('orders', 0))?.number, 1))
      await eventually(() => assertRefused('UNAVAILABLE', right.tail('orders', 0)))
      await Promise.all([wrong.close(), right.close()])
    }))

  it('says that the user may not do something, without waiting', () =>
    withNatsServer(async (server) => {
      await server.start(
        'jetstream { store_dir: "data" }\nauthorization { users: [{ user: shop, password: right, permissions { publish: "$JS.API.>" } }] }',
      )
      const log = await createNatsLog({
        servers: server.url,
        system: 'shop',
        host,
        credentials: { user: 'shop', password: 'right' },
      })
      const message = await assertUnavailable(1_000, log.append('orders', [createRecord('orders', 0, 1)]))
      assert.match(message, /does not permit this user the publish of 'atoll\.shop\.orders\.0'/)
      await log.close()
    }))

  it('says that JetStream is off', () =>
    withNatsServer(async (server) => {
      await server.start('')
      const log = await createNatsLog({ servers: server.url, system: 'shop', host })
      assert.match(
        await assertUnavailable(1_000, log.append('orders', [createRecord('orders', 0, 1)])),
        /JetStream is not enabled/,
      )
      assert.match(await assertUnavailable(1_000, log.read('orders', 0, null, 10)), /JetStream is not enabled/)
      const { findings } = await log.examine()
      assert.equal(findings.find(({ name }) => name === 'nats.jetstream')?.verdict, 'breaks')
      await log.close()
    }))

  it('goes over to another server of the list', () =>
    withNatsServer((first) =>
      withNatsServer(async (second) => {
        await second.start()
        const log = await createNatsLog({ servers: [first.url, second.url], system: 'shop', host, limits: impatient })
        await log.append('orders', [createRecord('orders', 0, 1)])
        await log.close()
      }),
    ))
})

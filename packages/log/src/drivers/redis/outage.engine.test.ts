import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import type { Examination } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createProxy, type Proxy } from '../../../test/proxy.ts'
import { createRecorder } from '../../../test/recorder.ts'
import { deleteStreams, freshSystem } from '../../../test/redis/harness.ts'
import { hasRedisServer, withServer } from '../../../test/redis/server.ts'
import { appendsAgain, assertOpensWithoutAnAnswer, assertWaitsForItsEngine, callMs } from '../../../test/trouble.ts'
import { eventually } from '../../../test/waiting.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createRedisLog, type RedisLogLimits } from '../../redis.ts'

const url = engineUrl('redis')
const host = createNodeHost()
const limits: Partial<RedisLogLimits> = { callMs, connectMs: callMs, reconnectMsMax: 100 }
const needsServer = { skip: hasRedisServer ? false : 'there is no redis-server on this machine to start and kill' }

/** Runs `body` with a log that reaches its Redis through a proxy. */
async function withProxy(
  body: (log: Log, proxy: Proxy, lines: readonly string[], system: string) => Promise<void>,
): Promise<void> {
  const { hostname, port } = new URL(url)
  const proxy = await createProxy({ host: hostname, port: Number(port || 6379) })
  const system = freshSystem()
  const recorder = createRecorder()
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String(proxy.port)
  const log = await createRedisLog({ url: through.href, system, host, logger: recorder, limits })
  try {
    await eventually('the log is connected', async () => (await log.tail('orders', 0)) === null)
    await body(log, proxy, recorder.lines, system)
  } finally {
    await log.close()
    await proxy.close()
    await deleteStreams(url, `${system}/*`)
  }
}

describe('a log on a Redis that cannot be reached', () => {
  it('opens, refuses calls at once, says so once, and works when Redis has come', needsServer, () =>
    withServer({}, (server) =>
      assertWaitsForItsEngine(server, (logger) =>
        createRedisLog({ url: server.url, system: 'shop', host, logger, limits }),
      ),
    ),
  )

  it('opens where something accepts connections and never answers', () =>
    assertOpensWithoutAnAnswer((port) =>
      createRedisLog({ url: `redis://127.0.0.1:${port}`, system: 'shop', host, limits }),
    ))

  it('says that the credentials are wrong, and works once they are right', needsServer, () =>
    withServer({ requirepass: 'a-secret' }, async (server) => {
      for (const credentials of ['', ':wrong@', 'nobody:a-secret@']) {
        const log = await createRedisLog({
          url: `redis://${credentials}127.0.0.1:${server.port}`,
          system: 'shop',
          host,
          limits,
        })
        const error = await assertRefused('UNAVAILABLE', log.append('orders', [createRecord('orders', 0, 1)]))
        assert.match(error.message, /refuses the credentials/)
        assert.doesNotMatch(error.message, /wrong@|a-secret/)
        await log.close()
      }
      const log = await createRedisLog({ url: server.url, system: 'shop', host, limits })
      await appendsAgain(log, 1, 1)
      await log.close()
    }),
  )
})

describe('a log whose connection is cut', () => {
  it('in the middle of an append, rejects it, and has all of it once after it is made again', () =>
    withProxy(async (log, proxy) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      for (const [time, bytes] of [50, 2_000, 20_000].entries()) {
        const [first, last] = [4 + time * 100, 103 + time * 100]
        proxy.cutAfter(bytes)
        await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, first, last)))
        await appendsAgain(log, first, last)
      }
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(303))
    }))

  it('after Redis has taken an append and before it could say so, ignores it when it is made again', () =>
    withProxy(async (log, proxy) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      proxy.deafen()
      await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, 4, 40)))
      proxy.heal()
      await eventually('the log answers', async () => (await log.tail('orders', 0))?.number === 40)
      await appendsAgain(log, 4, 41)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(41))
    }))
})

describe('a log on a Redis that is killed', () => {
  it('has every record whose append resolved, and goes on', needsServer, () =>
    withServer({}, async (server) => {
      const log = await createRedisLog({ url: server.url, system: 'shop', host, limits })
      let acknowledged = 0
      for (let round = 0; round < 3; round++) {
        const appendAll = async (): Promise<void> => {
          for (;;) {
            await log.append('orders', createRecords('orders', 0, acknowledged + 1, acknowledged + 20))
            acknowledged += 20
          }
        }
        await eventually('the log is connected', async () => (await log.tail('orders', 0)) !== undefined)
        const appending = assertRefused('UNAVAILABLE', appendAll())
        const before = acknowledged
        await eventually('some appends', () => acknowledged > before + 100)
        await server.kill()
        await appending
        await server.start()
        await eventually('the log answers', async () => {
          const numbers = await readNumbers(log, 'orders', 0)
          assertNumbers(numbers, numbersTo(numbers.length))
          assert.ok(
            numbers.length >= acknowledged,
            `${acknowledged} records were acknowledged, and ${numbers.length} are left`,
          )
          return true
        })
        await appendsAgain(log, acknowledged + 1, acknowledged + 20)
        acknowledged += 20
      }
      await log.close()
    }),
  )
})

describe('an examination', () => {
  async function examine(server: { readonly url: string }): Promise<Examination> {
    const log = await createRedisLog({ url: server.url, system: 'shop', host })
    try {
      return await log.examine()
    } finally {
      await log.close()
    }
  }
  const broken = ({ findings }: Examination): string[] =>
    findings.filter(({ verdict }) => verdict === 'breaks').map(({ name }) => name)

  it('finds nothing that breaks a promise where each write is synced', needsServer, () =>
    withServer({}, async (server) => {
      const examination = await examine(server)
      assert.deepEqual(broken(examination), [])
      assert.equal(examination.engine, 'Redis')
      assert.deepEqual(examination.survives, {
        'process kill': true,
        'OS crash': true,
        'power loss': true,
        'loss of a node': false,
      })
    }),
  )

  const settings: Readonly<Record<string, [settings: Record<string, string>, name: string]>> = {
    'no file': [{ appendonly: 'no' }, 'redis.appendonly'],
    'a sync each second': [{ appendfsync: 'everysec' }, 'redis.appendfsync'],
    'no sync': [{ appendfsync: 'no' }, 'redis.appendfsync'],
    'no sync during rewrites': [{ 'no-appendfsync-on-rewrite': 'yes' }, 'redis.no-appendfsync-on-rewrite'],
    'eviction of any key': [{ 'maxmemory-policy': 'allkeys-lru' }, 'redis.maxmemory-policy'],
    'a replica': [{ replicaof: '127.0.0.1 1' }, 'redis.role'],
    'a cluster': [{ 'cluster-enabled': 'yes' }, 'redis.cluster'],
  }
  for (const [what, [setting, name]] of Object.entries(settings)) {
    it(`names ${what}`, needsServer, () =>
      withServer(setting, async (server) => {
        const examination = await examine(server)
        assert.deepEqual(broken(examination), [name])
        if (name === 'redis.appendfsync') assert.equal(examination.survives['power loss'], false)
      }),
    )
  }

  it('says what it was not allowed to ask', needsServer, () =>
    withServer({ 'rename-command': 'CONFIG really-config' }, async (server) => {
      const { findings, survives } = await examine(server)
      assert.equal(findings.find(({ name }) => name === 'redis.appendfsync')?.verdict, 'unknown')
      assert.equal(survives['power loss'], false)
    }),
  )
})

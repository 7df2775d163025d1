import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { hasRedisServer, withServer } from '../../../test/redis/server.ts'
import { createRedisLog } from '../../redis.ts'

const host = createNodeHost()
const needsServer = { skip: hasRedisServer ? false : 'there is no redis-server on this machine to start and kill' }

describe('an examination of Redis', () => {
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

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createMemoryLog } from '@atoll/log/memory'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { createPostgresStores } from '@atoll/store/postgres'
import { startSystem } from 'atoll/runtime'
import desk from './desk/system.ts'

describe('a command on PostgreSQL', () => {
  it('answers or does nothing, and answers the same again under its key', async () => {
    const host = createNodeHost()
    const [url, prefix] = [engineUrl('postgres'), `test-${randomBytes(6).toString('hex')}`]
    const stores = createPostgresStores({ url, system: prefix, host })
    const log = createMemoryLog()
    const keepAlive = setInterval(() => {}, 2 ** 30) // the driver's own timers do not
    const running = await startSystem(desk, { host, log, logger: silentLogger, stores })
    const say = (id: string, oddity: string) => running.dispatch('desk.say', { input: { id, oddity }, idempotencyKey: id }).then(({ output, etag, replayed = false }) => ({ output, etag, replayed }))
    const note = (line: string, caller?: string) => running.dispatch('desk.note', { input: { lines: [line] }, idempotencyKey: 'k', caller: caller === undefined ? undefined : { id: caller, claims: {} } }).then(({ output }) => output)
    try {
      const answer = { output: { id: 'a', answer: 'plain' }, etag: 'a' }
      assert.deepEqual([await say('a', 'plain'), await say('a', 'plain')], [{ ...answer, replayed: false }, { ...answer, replayed: true }])
      for (const oddity of ['answers a bigint', 'has no version']) await assert.rejects(say('b', oddity), { code: 'ANSWER_INVALID' })
      await assert.rejects(say('b', 'says a date'), { code: 'EVENT_INVALID' })
      assert.deepEqual([await note('one'), await note('one'), await note('two'), await note('one', 'ann')], [['one'], ['one'], ['two'], ['one']].map((lines) => ({ lines })))
      await assert.rejects(note('two', 'ann'), { code: 'IDEMPOTENCY_KEY_REUSED' })
      await running.quiet()
      assert.deepEqual((await Array.fromAsync(running.admin.events({}))).map(({ key }) => key), ['a'])
    } finally {
      await running.stop()
      for (const store of ['desk', 'ears']) await stores.remove(store)
      await stores.close()
      await log.close()
      const admin = openPool({ url, host, applicationName: 'tests', connectionsMax: 1 })
      for (const store of ['desk', 'ears']) await admin.query(`DROP ROLE ${quoteIdentifier(`${prefix}_${store}`)}`)
      await admin.close()
      clearInterval(keepAlive)
    }
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createMemoryLog } from '@atoll/log/memory'
import { startSystem } from 'atoll/runtime'
import desk from './desk/system.ts'
import { onPostgres } from './postgres.ts'

describe('a command on PostgreSQL', () => {
  it('answers or does nothing, and answers the same again under its key', () =>
    onPostgres(async ({ host, stores }) => {
      const log = createMemoryLog()
      const running = await startSystem(desk, { host, log, logger: silentLogger, stores })
      const say = (id: string, oddity: string) =>
        running
          .dispatch('desk.say', { input: { id, oddity }, idempotencyKey: id })
          .then(({ output, etag, replayed = false }) => ({ output, etag, replayed }))
      const note = (line: string, caller?: string) =>
        running
          .dispatch('desk.note', {
            input: { lines: [line] },
            idempotencyKey: 'k',
            caller: caller === undefined ? undefined : { id: caller, claims: {} },
          })
          .then(({ output }) => output)
      try {
        const answer = { output: { id: 'a', answer: 'plain' }, etag: 'a' }
        assert.deepEqual(
          [await say('a', 'plain'), await say('a', 'plain')],
          [
            { ...answer, replayed: false },
            { ...answer, replayed: true },
          ],
        )
        for (const oddity of ['answers a bigint', 'has no version'])
          await assert.rejects(say('b', oddity), { code: 'ANSWER_INVALID' })
        await assert.rejects(say('b', 'says a date'), { code: 'EVENT_INVALID' })
        assert.deepEqual(
          [await note('one'), await note('one'), await note('two'), await note('one', 'ann')],
          [['one'], ['one'], ['two'], ['one']].map((lines) => ({ lines })),
        )
        await assert.rejects(note('two', 'ann'), { code: 'IDEMPOTENCY_KEY_REUSED' })
        await running.quiet()
        assert.deepEqual(
          (await Array.fromAsync(running.admin.events({}))).map(({ key }) => key),
          ['a'],
        )
      } finally {
        await running.stop()
        await log.close()
      }
    }))
})

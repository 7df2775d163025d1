import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Admin } from 'atoll/runtime'
import { answer, type ControlRequest } from './protocol.ts'

describe('letters that are asked for', () => {
  for (const verb of ['dead-letters', 'discarded'] satisfies ControlRequest['verb'][]) {
    it(`are handed on one by one, however many there are (${verb})`, async () => {
      let read = 0
      async function* letters(): AsyncGenerator<{ id: string }> {
        for (; read < 10_000; read++) yield { id: `letter ${read}` }
      }
      const admin = { walkDeadLetters: letters, walkDiscarded: letters } as unknown as Admin // all that is asked of it
      for await (const letter of answer(admin, { verb }, new AbortController().signal)) {
        assert.deepEqual(letter, { id: `letter ${read}` })
        if (read === 2) break
      }
      assert.equal(read, 2)
    })
  }
})

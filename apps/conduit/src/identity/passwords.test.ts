import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gate } from './gate.ts'
import { createPasswordCheck } from './passwords.ts'

const { signal } = new AbortController()

describe('a login with an e-mail that nobody has', () => {
  it('is refused like any other again after one that could not be checked', async () => {
    let hashed = 0
    const isPassword = createPasswordCheck({
      async hash() {
        if (hashed++ === 0) throw new Error('no memory for a hash')
        return 'of nobody'
      },
      verify: async (hash) => hash === 'of ann',
      gate: new Gate('passwords', { inFlightMax: 2, waitingMax: 1 }),
    })
    await assert.rejects(isPassword(undefined, 'a', signal), /no memory/)
    assert.deepEqual(
      [await isPassword(undefined, 'a', signal), await isPassword(undefined, 'a', signal), hashed],
      [false, false, 2],
    )
    assert.equal(await isPassword({ password_hash: 'of ann', password_form: 'given' }, 'a', signal), true)
  })

  it('computes no more at a time than others may', async () => {
    let inFlight = 0
    let most = 0
    const compute = async <T>(result: T): Promise<T> => {
      most = Math.max(most, ++inFlight)
      await new Promise(setImmediate)
      inFlight--
      return result
    }
    const isPassword = createPasswordCheck({
      hash: () => compute('of nobody'),
      verify: () => compute(false),
      gate: new Gate('passwords', { inFlightMax: 1, waitingMax: 3 }),
    })
    const known = { password_hash: 'of ann', password_form: 'given' } as const
    assert.deepEqual(
      await Promise.all([
        isPassword(known, 'a', signal),
        isPassword(undefined, 'a', signal),
        isPassword(undefined, 'b', signal),
      ]),
      [false, false, false],
    )
    assert.equal(most, 1)
  })
})

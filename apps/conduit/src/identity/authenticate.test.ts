import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose'
import { createAuthenticator } from './authenticate.ts'
import { tokenRules } from './tokens.ts'

/** An identity service that publishes `keys` and counts how often it was asked, and a clock that stands still. */
function createWorld() {
  const world = { keys: [] as JWK[], asked: 0, nowMs: Date.UTC(2026, 0, 1), answers: Promise.resolve() }
  const running = {
    async dispatch() {
      world.asked++
      await world.answers
      return { output: { keys: [...world.keys] }, outcome: 'done' as const, position: {} }
    },
  }
  return { world, authenticate: createAuthenticator(running, () => world.nowMs) }
}

async function createSigner(keyId: string) {
  const { publicKey, privateKey } = await generateKeyPair(tokenRules.algorithm, { crv: 'Ed25519' })
  const sign = (userId: string, nowMs: number) =>
    new SignJWT()
      .setProtectedHeader({ alg: tokenRules.algorithm, typ: tokenRules.type, kid: keyId })
      .setSubject(userId)
      .setIssuer(tokenRules.issuer)
      .setAudience(tokenRules.audience)
      .setExpirationTime(nowMs / 1000 + 60)
      .sign(privateKey)
  return { publicJwk: { ...(await exportJWK(publicKey)), kid: keyId }, sign }
}

describe('the authenticator', () => {
  it('knows a key that was made a moment after it asked for keys', async () => {
    const { world, authenticate } = createWorld()
    for (const userId of ['ann', 'ben', 'cleo']) {
      const { publicJwk, sign } = await createSigner(`key-of-${userId}`)
      world.keys.push(publicJwk)
      assert.equal((await authenticate(await sign(userId, world.nowMs)))?.id, userId)
    }
  })

  it('asks for keys a few times and then once a second, however many tokens with made-up keys come', async () => {
    const { world, authenticate } = createWorld()
    const stranger = await createSigner('nobody-has-this')
    for (let number = 0; number < 100; number++)
      assert.equal(await authenticate(await stranger.sign(`u${number}`, world.nowMs)), undefined)
    assert.equal(world.asked, 11, 'the first time, and ten more')

    const { publicJwk, sign } = await createSigner('new')
    world.keys.push(publicJwk)
    world.nowMs += 1_000
    assert.equal((await authenticate(await sign('ann', world.nowMs)))?.id, 'ann')
    for (let number = 0; number < 100; number++)
      assert.equal(await authenticate(await stranger.sign(`v${number}`, world.nowMs)), undefined)
    assert.equal(world.asked, 12)
  })

  it('asks for keys once, however many come at once before it has any, and again if that fails', async () => {
    const { world, authenticate } = createWorld()
    const { publicJwk, sign } = await createSigner('only')
    world.keys.push(publicJwk)
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, number) => sign(`u${number}`, world.nowMs)))
    world.answers = Promise.reject(new Error('identity cannot be reached'))
    const refused = await Promise.allSettled(tokens.map((token) => authenticate(token)))
    assert.deepEqual([world.asked, refused.filter(({ status }) => status === 'rejected').length], [1, 50])
    world.answers = Promise.resolve()
    const callers = await Promise.all([...tokens, ...tokens].map((token) => authenticate(token)))
    assert.deepEqual([world.asked, new Set(callers.map((caller) => caller?.id)).size], [2, 50])
  })

  it('lets a token be good until it expires', async () => {
    const { world, authenticate } = createWorld()
    const { publicJwk, sign } = await createSigner('only')
    world.keys.push(publicJwk)
    const token = await sign('ann', world.nowMs)
    for (const [afterMs, id] of [
      [0, 'ann'],
      [59_000, 'ann'],
      [60_000, undefined],
    ] as const) {
      world.nowMs = Date.UTC(2026, 0, 1) + afterMs
      assert.equal((await authenticate(token))?.id, id, `after ${afterMs} ms`)
    }
  })
})

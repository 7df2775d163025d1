import type { Caller } from 'atoll'
import type { RunningSystem } from 'atoll/runtime'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { tokenRules } from './tokens.ts'

/**
 * Says who holds a token, by the keys that identity publishes. Good tokens are remembered until they expire, since checking a signature
 * costs more than most queries; keys are asked for again when a token names one that is not known, once a second at the most.
 */
export function createAuthenticator(running: RunningSystem): (token: string) => Promise<Caller | undefined> {
  const good = new Map<string, { caller: Caller; expiresMs: number }>()
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let askedMs = 0

  async function refreshKeys(): Promise<void> {
    askedMs = Date.now()
    const { output } = await running.dispatch('identity.keys', { input: {} })
    keys = createLocalJWKSet(output as JSONWebKeySet) // identity's contract says so
  }

  async function check(token: string): Promise<Caller> {
    const { payload } = await jwtVerify(token, keys!, {
      algorithms: [tokenRules.algorithm],
      issuer: tokenRules.issuer,
      audience: tokenRules.audience,
      typ: tokenRules.type,
      requiredClaims: ['sub', 'exp'],
    })
    const caller: Caller = { id: payload.sub!, claims: {} } // required above
    if (good.size >= TOKENS_MAX) good.clear()
    good.set(token, { caller, expiresMs: payload.exp! * 1000 })
    return caller
  }

  return async (token) => {
    const known = good.get(token)
    if (known && known.expiresMs > Date.now()) return known.caller
    if (!keys) await refreshKeys()
    try {
      return await check(token)
    } catch (error) {
      if (!isUnknownKey(error) || Date.now() - askedMs < REFRESH_MS) return undefined
      await refreshKeys()
      return check(token).catch(() => undefined)
    }
  }
}

function isUnknownKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_JWKS_NO_MATCHING_KEY'
}

const TOKENS_MAX = 10_000
const REFRESH_MS = 1_000

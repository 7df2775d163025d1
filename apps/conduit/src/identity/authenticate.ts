import type { Caller } from 'atoll'
import type { RunningSystem } from 'atoll/runtime'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { tokenRules } from './tokens.ts'

/**
 * Says who holds a token, by the keys that identity publishes. Good tokens are remembered until they expire, since
 * checking a signature costs more than most queries. A token that names an unknown key has the keys asked for again, so
 * that one signed with a key of this very moment is good at once; since anybody can make such tokens up, there is a
 * budget for that.
 */
export function createAuthenticator(
  running: Pick<RunningSystem, 'dispatch'>,
  now: () => number = Date.now,
): Authenticate {
  const good = new Map<string, { caller: Caller; expiresMs: number }>()
  /** Tokens that are being checked: one that comes many times at once is checked once. */
  const checking = new Map<string, Promise<Caller | undefined>>()
  let keys: KeySet | undefined
  let refreshing: Promise<void> | undefined
  let refreshes = REFRESHES_MAX
  let refilledMs = now()

  async function askForKeys(): Promise<void> {
    try {
      const { output } = await running.dispatch('identity.keys', { input: {} })
      keys = createLocalJWKSet(output as JSONWebKeySet) // identity's contract says so
    } finally {
      refreshing = undefined
    }
  }

  /** Takes one refresh out of the budget; false if it is used up. */
  function mayRefresh(): boolean {
    refilledMs = Math.min(refilledMs, now()) // a wall clock may be set back
    const regained = Math.floor((now() - refilledMs) / REFRESH_MS)
    refreshes = Math.min(REFRESHES_MAX, refreshes + regained)
    refilledMs += regained * REFRESH_MS
    if (refreshes === 0) return false
    refreshes--
    return true
  }

  async function check(token: string): Promise<Caller> {
    const { payload } = await jwtVerify(token, keys!, {
      algorithms: [tokenRules.algorithm],
      issuer: tokenRules.issuer,
      audience: tokenRules.audience,
      typ: tokenRules.type,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(now()),
    })
    const caller: Caller = { id: payload.sub!, claims: {} } // required above
    const [oldest] = good.keys()
    if (good.size >= TOKENS_MAX && oldest !== undefined) good.delete(oldest)
    good.set(token, { caller, expiresMs: payload.exp! * 1000 })
    return caller
  }

  async function find(token: string): Promise<Caller | undefined> {
    if (!keys) await (refreshing ??= askForKeys())
    try {
      return await check(token)
    } catch (error) {
      if (!isUnknownKey(error) || !mayRefresh()) return undefined
      // One that is under way may have been answered before this key was made.
      await refreshing?.catch(() => undefined)
      await (refreshing ??= askForKeys())
      return check(token).catch(() => undefined)
    }
  }

  return async (token) => {
    const known = good.get(token)
    if (known && known.expiresMs > now()) return known.caller
    const found = checking.get(token) ?? find(token).finally(() => checking.delete(token))
    checking.set(token, found)
    return found
  }
}

function isUnknownKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_JWKS_NO_MATCHING_KEY'
}

type Authenticate = (token: string) => Promise<Caller | undefined>
type KeySet = ReturnType<typeof createLocalJWKSet>

const TOKENS_MAX = 10_000
/** Refreshes that unknown keys may cause at once. */
const REFRESHES_MAX = 10
/** After this long one more, milliseconds. A key is made once in the life of a system. */
const REFRESH_MS = 1_000

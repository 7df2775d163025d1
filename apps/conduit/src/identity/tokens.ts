import { exportJWK, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Kysely } from 'kysely'
import type { IdentityTables } from './tables.ts'

// Tokens are JWTs signed with Ed25519. The private key never leaves identity's store; others get the public one from
// the `keys` query.

export const tokenRules = { algorithm: 'EdDSA', issuer: 'conduit', audience: 'conduit-api', type: 'at+jwt' } as const

/** RealWorld has no refresh, so a token lasts as long as a visitor may stay away without logging in again. */
const LIFETIME = '30d'

export interface SigningKey {
  readonly sign: (userId: string, nowMs: number) => Promise<string>
  /**
   * Keeps the key if it is new, in the transaction that its first token comes from: a token whose key nobody keeps is
   * refused everywhere.
   */
  readonly keep: (db: Kysely<IdentityTables>) => Promise<void>
  readonly isNew: boolean
}

let known: { keyId: string; key: CryptoKey } | undefined

/**
 * The key of this system. Undefined before the first token was given out: users who came by `enrol` have none until
 * they log in.
 */
export async function findSigningKey(db: Kysely<IdentityTables>): Promise<SigningKey | undefined> {
  const row = await db.selectFrom('keys').selectAll().orderBy('key_id').executeTakeFirst()
  if (!row) return undefined
  if (known?.keyId !== row.key_id) known = { keyId: row.key_id, key: await toKey(JSON.parse(row.private_jwk) as JWK) }
  return { sign: signWith(known.keyId, known.key), keep: async () => {}, isNew: false }
}

/**
 * A new key; for when there is none yet. Two first visitors at once may each make one: both are kept, both are good.
 */
export async function createSigningKey(keyId: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(tokenRules.algorithm, { crv: 'Ed25519', extractable: true })
  const publicJwk = { ...(await exportJWK(publicKey)), kid: keyId, alg: tokenRules.algorithm, use: 'sig' }
  const row = {
    key_id: keyId,
    private_jwk: JSON.stringify(await exportJWK(privateKey)),
    public_jwk: JSON.stringify(publicJwk),
  }
  return {
    sign: signWith(keyId, privateKey),
    keep: async (db) => void (await db.insertInto('keys').values(row).execute()),
    isNew: true,
  }
}

function signWith(keyId: string, key: CryptoKey): SigningKey['sign'] {
  return (userId, nowMs) =>
    new SignJWT()
      .setProtectedHeader({ alg: tokenRules.algorithm, typ: tokenRules.type, kid: keyId })
      .setSubject(userId)
      .setIssuer(tokenRules.issuer)
      .setAudience(tokenRules.audience)
      .setIssuedAt(Math.floor(nowMs / 1000))
      .setExpirationTime(LIFETIME)
      .sign(key)
}

async function toKey(jwk: JWK): Promise<CryptoKey> {
  return (await importJWK(jwk, tokenRules.algorithm)) as CryptoKey // an asymmetric JWK gives a CryptoKey
}

import { exportJWK, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Kysely } from 'kysely'
import type { IdentityTables } from './tables.ts'

// Tokens are JWTs signed with Ed25519. The private key never leaves identity's store; others get the public one from the `keys` query.

export const tokenRules = { algorithm: 'EdDSA', issuer: 'conduit', audience: 'conduit-api', type: 'at+jwt' } as const

/** RealWorld has no refresh, so a token lasts as long as a visitor may stay away without logging in again. */
const LIFETIME = '30d'

/** A key that signs, and the row to keep it in if it is new. */
export interface SigningKey {
  readonly keyId: string
  readonly sign: (userId: string, nowMs: number) => Promise<string>
  readonly newRow: IdentityTables['keys'] | undefined
}

let known: { keyId: string; key: CryptoKey } | undefined

/**
 * The key of this system; a new one if there is none yet. Two first visitors at once may each make one: both are kept, both are good.
 */
export async function signingKey(db: Kysely<IdentityTables>, newId: () => string): Promise<SigningKey> {
  const row = await db.selectFrom('keys').selectAll().orderBy('key_id').executeTakeFirst()
  if (row) {
    if (known?.keyId !== row.key_id) known = { keyId: row.key_id, key: await toKey(JSON.parse(row.private_jwk) as JWK) }
    return { keyId: row.key_id, sign: signWith(known.keyId, known.key), newRow: undefined }
  }
  const keyId = newId()
  const { privateKey, publicKey } = await generateKeyPair(tokenRules.algorithm, { crv: 'Ed25519', extractable: true })
  const publicJwk = { ...(await exportJWK(publicKey)), kid: keyId, alg: tokenRules.algorithm, use: 'sig' }
  const newRow = { key_id: keyId, private_jwk: JSON.stringify(await exportJWK(privateKey)), public_jwk: JSON.stringify(publicJwk) }
  return { keyId, sign: signWith(keyId, privateKey), newRow }
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

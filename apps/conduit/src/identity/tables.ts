import { sqlStore } from '@atoll/store'

export interface IdentityTables {
  users: { user_id: string; username: string; email: string; password_hash: string; bio: string | null; image: string | null }
  keys: { key_id: string; private_jwk: string; public_jwk: string }
}

export const identityStore = sqlStore<IdentityTables>({
  migrations: {
    '0001-users': `
      CREATE TABLE users (
        user_id TEXT PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        bio TEXT,
        image TEXT
      ) STRICT;
      CREATE TABLE keys (key_id TEXT PRIMARY KEY, private_jwk TEXT NOT NULL, public_jwk TEXT NOT NULL) STRICT;
    `,
  },
})

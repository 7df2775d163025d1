import { sqlStore } from '@atoll/store'
import type { PasswordForm } from './passwords.ts'

export interface IdentityTables {
  users: {
    user_id: string
    username: string
    email: string
    /** Both as people read them; null in rows from before that mattered, until somebody writes. */
    username_read: string | null
    email_read: string | null
    password_hash: string
    password_form: PasswordForm
    bio: string | null
    image: string | null
  }
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
    // Users may be there whose names are read alike, and they stay: so these are not unique, and those who come later
    // are held to them. What SQL cannot read as people do, all that is not plain, is read by the service.
    '0002-names-as-read': {
      sqlite: addReadNames(
        (column) => `CASE WHEN ${column} NOT GLOB '*[^ -~]*' AND ${column} NOT LIKE '%  %' THEN lower(${column}) END`,
      ),
      postgres: addReadNames(
        (column) =>
          `CASE WHEN ${column} !~ '[^ -~]' AND ${column} NOT LIKE '%  %' THEN lower(${column} COLLATE "C") END`,
      ),
    },
  },
})

function addReadNames(read: (column: string) => string): string {
  return `
    ALTER TABLE users ADD COLUMN username_read TEXT;
    ALTER TABLE users ADD COLUMN email_read TEXT;
    ALTER TABLE users ADD COLUMN password_form TEXT NOT NULL DEFAULT 'trimmed';
    UPDATE users SET username_read = ${read('username')}, email_read = ${read('email')};
    CREATE INDEX users_username_read ON users (username_read);
    CREATE INDEX users_email_read ON users (email_read);
  `
}

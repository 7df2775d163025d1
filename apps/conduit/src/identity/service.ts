import { conflict, notFound, service, unauthenticated } from 'atoll'
import type { Kysely } from 'kysely'
import { requireSome } from '../realworld.ts'
import { identity, userChanged, userRegistered } from './contract.ts'
import { assertRoomForPassword, hashPassword, isPassword } from './passwords.ts'
import { asRead } from './reading.ts'
import { identityStore, type IdentityTables } from './tables.ts'
import { createSigningKey, findSigningKey, type SigningKey } from './tokens.ts'

type User = IdentityTables['users']

export default service(identity, {
  store: identityStore,
  handlers: {
    async register({ input: { user }, db, tx, newId, now, signal }) {
      assertRoomForPassword()
      const key = (await findSigningKey(db)) ?? (await createSigningKey(newId()))
      const userId = newId()
      await refuseTaken(db, { user_id: userId, ...user }) // before it costs a hash
      const passwordHash = await hashPassword(user.password, signal)
      const row: User = {
        user_id: userId,
        ...namesOf(user),
        password_hash: passwordHash,
        password_form: 'given',
        bio: null,
        image: null,
      }
      const token = await key.sign(userId, now())
      return tx(async ({ db, emit }) => {
        await readOlderNames(db)
        await refuseTaken(db, row)
        await db.insertInto('users').values(row).execute()
        await key.keep(db)
        emit(userRegistered, toPublic(row))
        return toCurrent(row, token)
      })
    },

    async login({ input: { user }, db, tx, newId, now, signal }) {
      assertRoomForPassword()
      const row = await userOf(db, user.email)
      if (!(await isPassword(row, user.password, signal)) || !row)
        throw unauthenticated('wrong e-mail or password', { credentials: ['invalid'] })
      const key = (await findSigningKey(db)) ?? (await createSigningKey(newId()))
      const answer = toCurrent(row, await key.sign(row.user_id, now()))
      if (!key.isNew) return answer // a login that changes nothing needs no commit
      return tx(async ({ db }) => {
        await key.keep(db)
        return answer
      })
    },

    async current({ caller, db, now }) {
      const row = await db.selectFrom('users').selectAll().where('user_id', '=', caller.id).executeTakeFirst()
      if (!row) throw unauthenticated('this user is no more', { token: ['is invalid'] })
      return toCurrent(row, await (await keyOfCaller(db)).sign(row.user_id, now()))
    },

    async change({ input: { user }, caller, db, tx, now, signal }) {
      requireSome('user', user)
      const { username, email, password, bio, image } = user
      const passwordHash = password === undefined ? undefined : await hashPassword(password, signal)
      const token = await (await keyOfCaller(db)).sign(caller.id, now())
      return tx(async ({ db, emit }) => {
        await readOlderNames(db)
        await refuseTaken(db, { user_id: caller.id, username, email })
        const row = await db
          .updateTable('users')
          .set({
            ...(username !== undefined && { username, username_read: asRead(username) }),
            ...(email !== undefined && { email, email_read: asRead(email) }),
            ...(passwordHash !== undefined && { password_hash: passwordHash, password_form: 'given' }),
            bio,
            image,
          })
          .where('user_id', '=', caller.id)
          .returningAll()
          .executeTakeFirst()
        if (!row) throw notFound('user')
        emit(userChanged, toPublic(row))
        return toCurrent(row, token)
      })
    },

    async keys({ db }) {
      const rows = await db.selectFrom('keys').select('public_jwk').execute()
      // written by createSigningKey
      return { keys: rows.map((row) => JSON.parse(row.public_jwk) as Record<string, unknown>) }
    },

    enrol: ({ input, tx, newId }) =>
      tx(async ({ db, emit }) => {
        const { username, email, passwordHash, bio, image } = input
        const row: User = {
          user_id: newId(),
          ...namesOf({ username, email }),
          password_hash: passwordHash,
          password_form: 'given',
          bio,
          image,
        }
        await readOlderNames(db)
        await refuseTaken(db, row)
        await db.insertInto('users').values(row).execute()
        emit(userRegistered, toPublic(row))
        return { userId: row.user_id }
      }),
  },
})

/** The key for a caller's next token. There is one, since the caller's present token was signed with it. */
async function keyOfCaller(db: Kysely<IdentityTables>): Promise<SigningKey> {
  const key = await findSigningKey(db)
  if (!key) throw unauthenticated('nobody has logged in yet', { token: ['is invalid'] })
  return key
}

/**
 * Refuses names that somebody else has, as people read them. Inside the transaction nobody can come between this look
 * and the insert.
 */
async function refuseTaken(
  db: Kysely<IdentityTables>,
  user: { user_id: string; username?: string | undefined; email?: string | undefined },
): Promise<void> {
  for (const column of ['username', 'email'] as const) {
    const value = user[column]
    if (value === undefined) continue
    const other = await db
      .selectFrom('users')
      .select('user_id')
      .where((is) => is.or([is(`${column}_read`, '=', asRead(value)), is(column, '=', value)]))
      .where('user_id', '!=', user.user_id)
      .executeTakeFirst()
    if (other) throw conflict({ [column]: ['has already been taken'] })
  }
}

/**
 * Who has that e-mail, as people read it. Of several, who were there before that mattered, the one who wrote it so;
 * else the one who came first.
 */
async function userOf(db: Kysely<IdentityTables>, email: string): Promise<User | undefined> {
  const users = await db
    .selectFrom('users')
    .selectAll()
    .where((is) => is.or([is('email_read', '=', asRead(email)), is('email', '=', email)]))
    .orderBy('user_id')
    .execute()
  return users.find((user) => user.email === email) ?? users[0]
}

/** Reads names from before they were compared as people read them, some with each write, until there are none. */
async function readOlderNames(db: Kysely<IdentityTables>): Promise<void> {
  const older = await db
    .selectFrom('users')
    .select(['user_id', 'username', 'email'])
    .where((is) => is.or([is('username_read', 'is', null), is('email_read', 'is', null)]))
    .limit(OLDER_NAMES_MAX)
    .execute()
  for (const { user_id, username, email } of older) {
    await db
      .updateTable('users')
      .set({ username_read: asRead(username), email_read: asRead(email) })
      .where('user_id', '=', user_id)
      .execute()
  }
}

/** Names that one write reads. */
const OLDER_NAMES_MAX = 100

function namesOf({ username, email }: Pick<User, 'username' | 'email'>) {
  return { username, email, username_read: asRead(username), email_read: asRead(email) }
}

function toPublic({ user_id, username, bio, image }: User) {
  return { userId: user_id, username, bio, image }
}

function toCurrent({ email, username, bio, image }: User, token: string) {
  return { user: { email, token, username, bio, image } }
}

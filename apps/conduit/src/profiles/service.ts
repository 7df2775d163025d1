import { sqlStore } from '@atoll/store'
import { notFound, service } from 'atoll'
import type { Kysely } from 'kysely'
import { replicateUsers, type UserReplica } from '../identity/replica.ts'
import { profiles, userFollowed, userUnfollowed } from './contract.ts'

interface ProfileTables extends UserReplica {
  follows: { follower_id: string; followee_id: string }
}

const store = sqlStore<ProfileTables>({
  migrations: {
    '0001-profiles': `
      CREATE TABLE users (user_id TEXT PRIMARY KEY, username TEXT NOT NULL, bio TEXT, image TEXT) STRICT;
      CREATE INDEX users_username ON users (username);
      CREATE TABLE follows (follower_id TEXT NOT NULL, followee_id TEXT NOT NULL, PRIMARY KEY (follower_id, followee_id)) STRICT, WITHOUT ROWID;
    `,
  },
})

export default service(profiles, {
  store,
  subscribe: ({ project }) => replicateUsers(project),
  handlers: {
    async get({ input, caller, db }) {
      const user = await userNamed(db, input.username)
      const follow =
        caller &&
        (await db
          .selectFrom('follows')
          .select('followee_id')
          .where('follower_id', '=', caller.id)
          .where('followee_id', '=', user.user_id)
          .executeTakeFirst())
      return toProfile(user, follow !== undefined)
    },

    follow: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const user = await userNamed(db, input.username)
        const { numInsertedOrUpdatedRows } = await db
          .insertInto('follows')
          .values({ follower_id: caller.id, followee_id: user.user_id })
          .onConflict((known) => known.doNothing())
          .executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows) emit(userFollowed, { followerId: caller.id, followeeId: user.user_id })
        return toProfile(user, true)
      }),

    unfollow: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const user = await userNamed(db, input.username)
        const { numDeletedRows } = await db
          .deleteFrom('follows')
          .where('follower_id', '=', caller.id)
          .where('followee_id', '=', user.user_id)
          .executeTakeFirstOrThrow()
        if (numDeletedRows) emit(userUnfollowed, { followerId: caller.id, followeeId: user.user_id })
        return toProfile(user, false)
      }),
  },
})

async function userNamed(db: Kysely<ProfileTables>, username: string): Promise<ProfileTables['users']> {
  const user = await db.selectFrom('users').selectAll().where('username', '=', username).executeTakeFirst()
  if (!user) throw notFound('profile')
  return user
}

function toProfile({ username, bio, image }: ProfileTables['users'], following: boolean) {
  return { profile: { username, bio, image, following } }
}

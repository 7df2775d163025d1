import type { Subscribe } from 'atoll'
import { userChanged, userRegistered } from './contract.ts'

/** What profiles and the pages know of users, each in a table of its own: everything that others may know. */
export interface UserReplica {
  users: { user_id: string; username: string; bio: string | null; image: string | null }
}

/** Keeps the table `users` as identity says. */
export function replicateUsers(project: Subscribe<UserReplica, never>['project']) {
  return [userRegistered, userChanged].map((event) =>
    project(event, ({ data: { userId, username, bio, image } }, { db }) => {
      const row = { username, bio, image }
      return db
        .insertInto('users')
        .values({ user_id: userId, ...row })
        .onConflict((known) => known.column('user_id').doUpdateSet(row))
        .execute()
    }),
  )
}

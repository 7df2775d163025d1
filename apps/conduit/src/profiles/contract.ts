import { command, contract, event, query } from 'atoll'
import { z } from 'zod'
import { errors, Profile } from '../realworld.ts'

const Follow = z.object({ followerId: z.string(), followeeId: z.string() })
const pair = ({ followerId, followeeId }: z.output<typeof Follow>) => `${followerId}:${followeeId}`

export const userFollowed = event('user.followed', { version: 1, key: pair, data: Follow })
export const userUnfollowed = event('user.unfollowed', { version: 1, key: pair, data: Follow })

const ByName = z.object({ username: z.string() })
const ProfileAnswer = z.object({ profile: Profile })

/** Who follows whom. */
export const profiles = contract('profiles', {
  errors,
  events: [userFollowed, userUnfollowed],
  get: query({ http: 'GET /profiles/:username', auth: 'optional', input: ByName, output: ProfileAnswer }),
  follow: command({ http: 'POST /profiles/:username/follow', auth: 'user', input: ByName, output: ProfileAnswer }),
  unfollow: command({ http: 'DELETE /profiles/:username/follow', auth: 'user', input: ByName, output: ProfileAnswer }),
})

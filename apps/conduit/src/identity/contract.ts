import { command, contract, event, query, secret } from 'atoll'
import { z } from 'zod'
import { blank, charsMax, erasable, errors, filled, newPassword, password, text } from '../realworld.ts'
import { asRead, hasUnseen, mixesAlphabets } from './reading.ts'

/** Everything about a user that others may know. */
const PublicUser = z.object({
  userId: z.string(),
  username: z.string(),
  bio: z.string().nullable(),
  image: z.string().nullable(),
})

export const userRegistered = event('user.registered', { version: 1, key: ({ userId }) => userId, data: PublicUser })
export const userChanged = event('user.changed', { version: 1, key: ({ userId }) => userId, data: PublicUser })

const CurrentUser = z.object({
  user: z.object({
    email: z.string(),
    token: secret(z.string()),
    username: z.string(),
    bio: z.string().nullable(),
    image: z.string().nullable(),
  }),
})
const username = filled(charsMax.username)
  .refine((name) => name === '' || asRead(name) !== '', blank)
  .refine((name) => asRead(name) === '' || !hasUnseen(name), 'contains characters that cannot be seen')
  .refine((name) => !mixesAlphabets(name), 'mixes alphabets that look alike')
const email = filled(charsMax.email).pipe(z.email('is invalid'))
const bio = erasable(charsMax.bio)
const image = erasable(charsMax.image)

/** Who people are: names, credentials, pictures, tokens. */
export const identity = contract('identity', {
  errors,
  events: [userRegistered, userChanged],
  register: command({
    http: 'POST /users',
    auth: 'none',
    status: 201,
    input: z.object({ user: z.object({ username, email, password: newPassword() }) }),
    output: CurrentUser,
    keepAnswers: false, // a kept answer is a token that survives a change of the password
  }),
  login: command({
    http: 'POST /users/login',
    auth: 'none',
    input: z.object({ user: z.object({ email: filled(charsMax.email), password: password() }) }),
    output: CurrentUser,
    keepAnswers: false,
  }),
  current: query({ http: 'GET /user', auth: 'user', input: z.object({}), output: CurrentUser }),
  change: command({
    http: 'PUT /user',
    auth: 'user',
    input: z.object({
      user: z.object({
        username: username.optional(),
        email: email.optional(),
        password: newPassword().optional(),
        bio,
        image,
      }),
    }),
    output: CurrentUser,
    keepAnswers: false,
  }),
  /** The public keys that tokens are checked with, as a JWK set. For the gateway. */
  keys: query({ input: z.object({}), output: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) }),
  /** Takes in a user whose password was hashed elsewhere. Not on the wire; for demo data and imports. */
  enrol: command({
    input: z.object({
      username,
      email,
      passwordHash: secret(z.string()),
      bio: text(charsMax.bio).nullable(),
      image: text(charsMax.image).nullable(),
    }),
    output: z.object({ userId: z.string() }),
  }),
})

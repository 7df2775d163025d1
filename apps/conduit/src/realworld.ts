import { invalid, type ErrorShape } from 'atoll'
import { z } from 'zod'

// What all of Conduit's contracts share: how RealWorld words its errors, and the shapes that many answers contain.

/** `{"errors": {"article": ["not found"]}}`, whatever went wrong. */
export const errors: ErrorShape = (error) => ({
  status: error.status,
  body: { errors: fieldsOf(error.code, error.details, error.reason) },
})

function fieldsOf(
  code: string,
  details: Readonly<Record<string, unknown>>,
  reason: string,
): Record<string, readonly string[]> {
  const { fields, what } = details
  // what refusals and validation put there
  if (fields !== undefined) return withoutEnvelope(fields as Record<string, readonly string[]>)
  if (code === 'NOT_FOUND' && typeof what === 'string') return { [what]: ['not found'] }
  if (code === 'FORBIDDEN') return { [reason]: ['forbidden'] }
  return { body: [reason] }
}

/** Inputs come as `{"user": {"email": …}}`; their errors are about `email`. */
function withoutEnvelope(fields: Record<string, readonly string[]>): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries(fields).map(([path, messages]) => [path.replace(/^(user|article|comment)\./, ''), messages]),
  )
}

export const blank = "can't be blank"

/**
 * How long texts may be, in UTF-16 code units, at three bytes each. The sum for an article is well below the MiB that
 * the log takes as one event; a hundred comments, or a hundred articles without their bodies, each with its author,
 * below the 8 MiB that the gateway takes as one answer (answerBytesMax): else one author could close a page to
 * everybody.
 */
export const charsMax = {
  username: 100,
  email: 254,
  password: 200,
  bio: 10_000,
  image: 2_000,
  title: 500,
  description: 5_000,
  article: 200_000,
  tag: 100,
  comment: 10_000,
} as const

/** Tags of one article. */
export const TAGS_MAX = 50

/**
 * How long a password is at least, characters as people count them. Nothing is asked of what it is made of: rules like
 * that make passwords worse (NIST SP 800-63B). RealWorld's own clients and tests use eight.
 */
const PASSWORD_CHARS_MIN = 8

/** A new password, as it was typed: also spaces at its ends belong to it. */
export function newPassword() {
  return password().refine(
    (text) => text === '' || [...text.normalize('NFC')].length >= PASSWORD_CHARS_MIN,
    `is too short (minimum is ${PASSWORD_CHARS_MIN} characters)`,
  )
}

/** A password that may be the right one. */
export function password() {
  return text(charsMax.password, blank).min(1, blank)
}

/**
 * A text of at most so many characters, of which none takes more than three bytes of JSON. `error` is for what is no
 * text at all.
 */
export function text(max: number, error?: string) {
  return z
    .string(error)
    .max(max, `is too long (maximum is ${max} characters)`)
    .refine(isPlain, 'contains characters that are not text')
}

/** A text with something in it. */
export function filled(max: number) {
  return text(max, blank).trim().min(1, blank)
}

/** A text that may be taken away: `""` and null both mean that there is none. */
export function erasable(max: number) {
  return text(max)
    .nullish()
    .transform((text) => (text === '' ? null : text))
}

/** Control characters and halves of surrogate pairs mean nothing to readers, and each would take six bytes of JSON. */
function isPlain(text: string): boolean {
  return text.isWellFormed() && !/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text)
}

/** At least one of an update's fields must be there. */
export function requireSome(name: string, update: object): void {
  if (Object.values(update).every((value) => value === undefined)) throw invalid({ [name]: [blank] })
}

export const Profile = z.object({
  username: z.string(),
  bio: z.string().nullable(),
  image: z.string().nullable(),
  following: z.boolean(),
})

/** What stands in a list of articles. */
export const ArticleSummary = z.object({
  slug: z.string(),
  title: z.string(),
  description: z.string(),
  tagList: z.array(z.string()),
  createdAt: z.string(),
  updatedAt: z.string(),
  favorited: z.boolean(),
  favoritesCount: z.int(),
  author: Profile,
})
export const Article = ArticleSummary.extend({ body: z.string() })
export const Comment = z.object({
  id: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
  body: z.string(),
  author: Profile,
})

/** Names an article by its slug, in a path. */
export const BySlug = z.object({ slug: z.string() })

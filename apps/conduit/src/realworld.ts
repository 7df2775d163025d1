import { invalid, type ErrorShape } from 'atoll'
import { z } from 'zod'

// What all of Conduit's contracts share: how RealWorld words its errors, and the shapes that many answers contain.

/** `{"errors": {"article": ["not found"]}}`, whatever went wrong. */
export const errors: ErrorShape = (error) => ({ status: error.status, body: { errors: fieldsOf(error.code, error.details, error.reason) } })

function fieldsOf(code: string, details: Readonly<Record<string, unknown>>, reason: string): Record<string, readonly string[]> {
  const { fields, what } = details
  if (fields !== undefined) return withoutEnvelope(fields as Record<string, readonly string[]>) // what refusals and validation put there
  if (code === 'NOT_FOUND' && typeof what === 'string') return { [what]: ['not found'] }
  if (code === 'FORBIDDEN') return { [reason]: ['forbidden'] }
  return { body: [reason] }
}

/** Inputs come as `{"user": {"email": …}}`; their errors are about `email`. */
function withoutEnvelope(fields: Record<string, readonly string[]>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(fields).map(([path, messages]) => [path.replace(/^(user|article|comment)\./, ''), messages]))
}

export const blank = "can't be blank"

/** A text with something in it. */
export const filled = z.string({ error: blank }).trim().min(1, blank)

/** A text that may be taken away: `""` and null both mean that there is none. */
export const erasable = z
  .string()
  .nullish()
  .transform((text) => (text === '' ? null : text))

/** At least one of an update's fields must be there. */
export function requireSome(name: string, update: object): void {
  if (Object.values(update).every((value) => value === undefined)) throw invalid({ [name]: [blank] })
}

export const Profile = z.object({ username: z.string(), bio: z.string().nullable(), image: z.string().nullable(), following: z.boolean() })

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
export const Comment = z.object({ id: z.int(), createdAt: z.string(), updatedAt: z.string(), body: z.string(), author: Profile })

/** Names an article by its slug, in a path. */
export const BySlug = z.object({ slug: z.string() })

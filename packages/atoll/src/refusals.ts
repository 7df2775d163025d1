import { AtollError } from '@atoll/host'

// What a handler throws to refuse: `throw notFound('article')`. The gateway answers each with its status.

/** 404. `what` names the kind of thing, for people. */
export function notFound(what: string): AtollError {
  return new AtollError('NOT_FOUND', `${what} not found`, { details: { what } })
}

/** 403. */
export function forbidden(why: string): AtollError {
  return new AtollError('FORBIDDEN', why)
}

/** 409. `fields` says which field is in conflict, and how. */
export function conflict(fields: FieldMessages): AtollError {
  return new AtollError('CONFLICT', describe(fields), { details: { fields } })
}

/**
 * 412. `version` is the present one; the client's If-Match named another. See also `changeVersion`, which throws it
 *   for you.
 */
export function stale(what: string, version: string | number): AtollError {
  return new AtollError(
    'PRECONDITION_FAILED',
    `${what} is at version ${version} by now; read it, apply the change to that, and send it again`,
    { details: { version } },
  )
}

/** 422. `fields` says what is wrong with which field. */
export function invalid(fields: FieldMessages): AtollError {
  return new AtollError('INVALID', describe(fields), { details: { fields } })
}

/** 401. `fields` is for forms: which field was wrong, as far as one may say. */
export function unauthenticated(why: string, fields: FieldMessages = {}): AtollError {
  return new AtollError('UNAUTHENTICATED', why, { details: { fields } })
}

/**
 * 503, with Retry-After. Nothing has begun, and the same request may succeed in a moment. `why` names what there is too
 * much of, and is for the log.
 */
export function overloaded(why: string): AtollError {
  return new AtollError('OVERLOADED', why)
}

/** Field name to messages: `{ email: ['has already been taken'] }`. */
export type FieldMessages = Readonly<Record<string, readonly string[]>>

function describe(fields: FieldMessages): string {
  return Object.entries(fields)
    .map(([field, messages]) => `${field} ${messages.join(', ')}`)
    .join('; ')
}

import { AtollError, type ErrorCode } from '@atoll/host'
import pg from 'pg'

/**
 * What PostgreSQL or the way to it said, as an AtollError that names `what` was talked to. What is for the caller to
 * judge stays as it is: broken constraints (class 23), conflicts ({@link isConflict}), mistakes in SQL, and every error
 * that did not come from there.
 */
export function toAtollError(error: unknown, what: string): Error {
  if (error instanceof pg.DatabaseError) return fromServer(error, what)
  if (isOfConnection(error))
    return new AtollError('UNAVAILABLE', `${what} cannot be reached: ${reasonOf(error)}`, { cause: error })
  return error instanceof Error ? error : AtollError.from(error)
}

/** The SQLSTATE of what PostgreSQL said, also below an AtollError; undefined if it did not say it. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code
  return error instanceof AtollError && error.cause !== undefined ? sqlStateOf(error.cause) : undefined
}

/**
 * Whether a transaction lost against another one, and may succeed when all of it is done again: a serialization
 * failure, or a deadlock.
 */
export function isConflict(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '40001' || state === '40P01'
}

/** Whether the connection may still be used after this: only after what a healthy server says of a statement. */
export function leavesUsable(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || endsConnection(error)) return false
  return isOfStatement(error) || (!/^(08|57|58|XX|25006|26000)/.test(error.code ?? '') && !isStalePlan(error))
}

function fromServer(error: pg.DatabaseError, what: string): Error {
  const state = error.code ?? ''
  const found = isOfStatement(error)
    ? undefined
    : isStalePlan(error)
      ? stalePlan
      : verdicts.find(([pattern]) => pattern.test(state))?.[1]
  if (!found) return error
  return new AtollError(
    found.code,
    `${what} ${found.says} (${state}: ${error.message})${found.remedy === undefined ? '' : `; ${found.remedy}`}`,
    { cause: error },
  )
}

/**
 * Whether a state that sounds like the server's trouble is about the statement alone. A server that says ERROR goes on
 * with the connection; so a broken protocol (08P01) was a message that it could not make sense of, such as one with too
 * many parameters, and an internal error (XX000) is what extensions say of anything. And a function in SQL raises any
 * state that it likes. Functions also pass on what they caught; so what they say of room (53), of files (58) and of
 * damage (XX001, XX002) is believed: a full disk must not cost anybody a try. If the connection goes after all, the
 * next statement shows it.
 */
function isOfStatement(error: pg.DatabaseError): boolean {
  if (error.severity === undefined || endsConnection(error)) return false
  const state = error.code ?? ''
  return /^(08P01|XX000)$/.test(state) || (error.routine === 'exec_stmt_raise' && !/^(53|58|XX00[12])/.test(state))
}

/** Other severities come in the server's language. */
function endsConnection({ severity }: pg.DatabaseError): boolean {
  return severity === 'FATAL' || severity === 'PANIC'
}

interface Verdict {
  readonly code: ErrorCode
  readonly says: string
  readonly remedy?: string
}

/** SQLSTATE → what it means for the caller. The first that fits. */
const verdicts: readonly (readonly [RegExp, Verdict])[] = [
  [/^28/, { code: 'UNAVAILABLE', says: 'refuses these credentials', remedy: 'check user, password and pg_hba.conf' }],
  [/^3D000$/, { code: 'UNAVAILABLE', says: 'has no such database', remedy: 'create it, or mend the URL' }],
  [/^(08|57P0)/, { code: 'UNAVAILABLE', says: 'is going down or starting up' }],
  [/^57014$/, { code: 'UNAVAILABLE', says: 'cancelled a statement that took too long' }],
  [
    /^55P03$/,
    { code: 'UNAVAILABLE', says: 'waited too long for a lock', remedy: 'look in pg_stat_activity for who holds it' },
  ],
  [/^25P0[34]$/, { code: 'UNAVAILABLE', says: 'ended a transaction that stood open too long' }],
  [
    /^25006$/,
    {
      code: 'UNAVAILABLE',
      says: 'takes no writes',
      remedy: 'it is a replica or set to read-only: give the URL of the primary',
    },
  ],
  [
    /^26000$/,
    {
      code: 'UNAVAILABLE',
      says: 'does not know a statement that was prepared',
      remedy: 'a pooler in between must give each connection a session of its own',
    },
  ],
  [/^58/, { code: 'UNAVAILABLE', says: 'has trouble with its disk', remedy: 'look into its log' }],
  [/^53100$/, { code: 'STORE_FULL', says: 'has no room on its disk', remedy: 'make room, and writing resumes' }],
  [
    /^53/,
    {
      code: 'OVERLOADED',
      says: 'is out of connections or memory',
      remedy: 'raise max_connections, or use fewer connections',
    },
  ],
  [
    /^XX00[12]$/,
    { code: 'STORE_CORRUPT', says: 'reports damaged data', remedy: 'keep a copy, and restore it from a backup' },
  ],
]

const stalePlan: Verdict = {
  code: 'UNAVAILABLE',
  says: 'changed a table under a prepared statement',
  remedy: 'the next try prepares it anew',
}

/** A statement that was prepared before a table got other columns. It is good again on a fresh connection. */
function isStalePlan({ code, routine }: pg.DatabaseError): boolean {
  return code === '0A000' && routine === 'RevalidateCachedQuery'
}

/** What `pg` says in plain errors when the connection is or goes away. */
const ofConnection =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired|timeout exceeded|The server does not support SSL|There was an error establishing an SSL|SASL|Received unexpected)/

function isOfConnection(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  if (ofConnection.test(error.message)) return true
  // Errors of sockets, name look-ups and TLS have codes such as ECONNREFUSED; those of several addresses together come
  // as one AggregateError.
  return (
    'code' in error &&
    typeof error.code === 'string' &&
    /^(E[A-Z]+|EAI_[A-Z]+|ERR_(SSL|TLS)_\w+|CERT_\w+|\w*CERT\w*)$/.test(error.code)
  )
}

function reasonOf(error: Error): string {
  const said = error.message || ('code' in error ? String(error.code) : error.name)
  return error.cause instanceof Error && error.cause.message ? `${said} (${error.cause.message})` : said
}

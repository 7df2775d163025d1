import { assertName } from '../../refusals.ts'
import { AtollError } from '@atoll/host'

/** Which schema a store lies in, and whose it is. */
export interface Place {
  readonly schema: string
  /** The role of the service: a projection's store, `reading.pages.1`, belongs to its service's. */
  readonly role: string
}

/**
 * A system's name keeps it apart from others in the same database; it has no underscore, so no two places can be the
 * same. What begins with `pg_` PostgreSQL keeps for itself.
 */
export function assertSystemName(system: string): void {
  if (system === 'pg')
    throw new AtollError(
      'DEFINITION_INVALID',
      "a system cannot be called 'pg' on PostgreSQL, which keeps names that begin with pg_ for itself",
    )
  if (/^[a-z][a-z0-9-]{0,30}$/.test(system)) return
  throw new AtollError(
    'DEFINITION_INVALID',
    `system name '${system}' must be up to 31 lower case letters, digits and dashes, for schemas and roles are called after it`,
  )
}

/** Throws DEFINITION_INVALID for a name that is none, or is too long for PostgreSQL. */
export function placeOf(system: string, store: string): Place {
  assertName(store)
  const schema = `${system}_${store}`
  if (schema.length > NAME_MAX)
    throw new AtollError(
      'DEFINITION_INVALID',
      `store ${store} would lie in schema ${schema}, which is longer than the ${NAME_MAX} characters that PostgreSQL has for names; shorten it`,
    )
  return { schema, role: `${system}_${store.split('.')[0]!}` }
}

const NAME_MAX = 63

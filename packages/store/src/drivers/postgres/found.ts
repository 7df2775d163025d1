import { type Client } from '@atoll/postgres'
import type { Place } from './names.ts'

/** What there is where a store should lie, and what the user of the URL may do about it. */
export interface Found {
  readonly user: string
  readonly isSuperuser: boolean
  readonly mayMakeRoles: boolean
  readonly hasRole: boolean
  /** The user may act as the service's role. */
  readonly isMember: boolean
  readonly hasSchema: boolean
  /** Whose the schema is. */
  readonly owner: string | null
  /** The tables of every store are there. */
  readonly isReady: boolean
  /** Its tables and views, without the runtime's own. */
  readonly tables: readonly string[]
  /** Its constraints that are checked at the commit unless they are told otherwise. */
  readonly deferred: readonly string[]
}

/** One question, because every start asks it for every store. Needs no rights. */
export async function examinePlace(client: Client, { schema, role }: Place): Promise<Found> {
  const { rows } = await client.query<
    Omit<Found, 'tables' | 'deferred' | Condition> &
      Record<Condition, 0 | 1 | boolean> & { tables: string; deferred: string }
  >(sql, [schema, role])
  const found = rows[0]! // there is one for whoever asks
  return {
    user: found.user,
    owner: found.owner,
    isSuperuser: Boolean(found.isSuperuser),
    mayMakeRoles: Boolean(found.mayMakeRoles),
    hasRole: Boolean(found.hasRole),
    isMember: Boolean(found.isMember),
    hasSchema: Boolean(found.hasSchema),
    isReady: Boolean(found.isReady),
    tables: JSON.parse(found.tables) as string[], // the query makes them lists of names
    deferred: JSON.parse(found.deferred) as string[],
  }
}

type Condition = 'isSuperuser' | 'mayMakeRoles' | 'hasRole' | 'isMember' | 'hasSchema' | 'isReady'

/**
 * A name that belongs to constraints of both kinds is left out, for one cannot be told from the other; it is checked at
 * the commit.
 */
const sql = `
  SELECT me.rolname::text AS user, me.rolsuper AS "isSuperuser", me.rolsuper OR me.rolcreaterole AS "mayMakeRoles",
    owner.oid IS NOT NULL AS "hasRole", coalesce(pg_has_role(owner.oid, 'MEMBER'), false) AS "isMember",
    place.oid IS NOT NULL AS "hasSchema", pg_get_userbyid(place.nspowner)::text AS owner,
    (SELECT count(*) = 2 FROM pg_class WHERE relnamespace = place.oid AND relname IN ('atoll_migrations', 'atoll_writer')) AS "isReady",
    (SELECT coalesce(json_agg(relname), '[]') FROM pg_class
      WHERE relnamespace = place.oid AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT starts_with(relname::text, 'atoll_')) AS tables,
    (SELECT coalesce(json_agg(conname), '[]') FROM (
      SELECT conname FROM pg_constraint WHERE connamespace = place.oid GROUP BY conname HAVING bool_and(condeferred)) AS deferred) AS deferred
  FROM pg_roles AS me
    LEFT JOIN pg_roles AS owner ON owner.rolname = $2
    LEFT JOIN pg_namespace AS place ON place.nspname = $1
  WHERE me.rolname = current_user`

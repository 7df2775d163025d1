import { AtollError, type Host } from '@atoll/host'
import pg from 'pg'
import type { Client, Param, Result, Row } from './client.ts'
import { toAtollError } from './errors.ts'
import { Session, type Talk } from './session.ts'
import { Statements } from './statements.ts'
import { types } from './values.ts'

export interface PoolOptions {
  /** `postgres://user:password@host:port/database`, with the parameters of node-postgres. */
  url: string
  host: Host
  /** What people see in pg_stat_activity. */
  applicationName: string
  /** The most connections at a time; they are opened when they are needed. */
  connectionsMax: number
  /** The role that each session takes on. */
  role?: string
  /** Where each session looks for tables. */
  searchPath?: readonly string[]
  /** The longest that one statement may take; its connection is then destroyed. Default 10 s. */
  callMs?: number
  /** The longest that opening a connection may take, and waiting for a free one. Default 5 s. */
  connectMs?: number
  /** The most callers that wait for a free connection; more are refused with OVERLOADED. Default 1000. */
  waitingMax?: number
  /** The most statements that a connection keeps prepared. Default 200. */
  preparedMax?: number
  /** Further settings of each session, such as `{ work_mem: '64MB' }`. */
  options?: Readonly<Record<string, string>>
  /**
   * `plain`: conditions come out as 1 and 0, and `numeric` as numbers, as they do of stores that have no such types.
   * Default `exact`.
   */
  values?: keyof typeof types
  /** Lets one client send statements without waiting for the answers of those before. Default false. */
  pipeline?: boolean
}

/** Connections to the primary of one database. */
export interface Pool extends Client {
  /** Whom it talks to, for messages: host, port and database; never a secret. */
  readonly name: string
  readonly host: Host
  readonly connectionsMax: number
  /** The longest that one statement may take. */
  readonly callMs: number
  /**
   * Runs `work` on a connection that nobody else uses meanwhile. A connection that had an error, timed out, or comes
   * back with a transaction open or a statement unanswered is destroyed, and not given to anyone else. Rejects with
   * what `work` rejects with; UNAVAILABLE if there is no connection, OVERLOADED if all of them are busy for too long.
   */
  use<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** A connection of its own, which does not count among the others and which the caller must destroy. */
  connect(options?: { replica?: boolean }): Promise<Session>
  /**
   * Waits for the work under way, at most `callMs`, then destroys every connection. Idempotent. Later calls reject with
   * UNAVAILABLE.
   */
  close(): Promise<void>
}

/**
 * Connections to the database at `url`, made when they are needed: this neither waits for the server nor fails without
 * it. Throws INVALID if the URL is none.
 *
 * Every session waits for the disk at each commit, whatever the server is set to; is bounded in how long it may run,
 * wait for locks and stand idle in a transaction; and is refused by a replica, because what is read there may be
 * behind, and in another order.
 */
export function openPool(options: PoolOptions): Pool {
  const { host, connectionsMax, callMs = 10_000, connectMs = 5_000, waitingMax = 1_000, preparedMax = 200 } = options
  const config = toConfig(options, connectMs)
  const name = nameOf(config)
  let answeredAt = host.monotonicMs()
  const talk: Talk = {
    name,
    host,
    callMs,
    pipeline: options.pipeline ?? false,
    statements: new Statements(preparedMax),
    answered: () => (answeredAt = host.monotonicMs()),
  }
  const settings = settingsOf(options, callMs)
  const sessions = new Map<pg.Client, Session>()
  let closed: Promise<void> | undefined

  const pool = new pg.Pool({
    ...config,
    max: connectionsMax,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
    async onConnect(client) {
      const raw = client as pg.Client // the library makes its clients of pg.Client, and declares less
      const session = new Session(raw, talk)
      sessions.set(raw, session)
      raw.once('end', () => sessions.delete(raw))
      await setUp(session, name, settings, connectMs, false)
    },
  })
  pool.on('error', () => {}) // of an idle connection, which the library has thrown away by now; nobody waits for it

  async function acquire(): Promise<pg.PoolClient> {
    if (closed) throw new AtollError('UNAVAILABLE', `the connections to ${name} are closed`)
    if (pool.waitingCount >= waitingMax) {
      throw new AtollError(
        'OVERLOADED',
        `${pool.waitingCount} callers wait for one of ${connectionsMax} connections to ${name} already, which is waitingMax`,
      )
    }
    try {
      return await pool.connect()
    } catch (error) {
      // else nobody answers
      const isBusy = pool.totalCount >= connectionsMax && host.monotonicMs() - answeredAt < connectMs / 2
      if (isBusy)
        throw new AtollError(
          'OVERLOADED',
          `all ${connectionsMax} connections to ${name} were busy for ${connectMs} ms`,
          { cause: error },
        )
      throw toAtollError(error, name)
    }
  }

  async function use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const raw = await acquire()
    const session = sessions.get(raw) ?? new Session(raw, talk) // there is one, unless the connection ended this moment
    try {
      return await work(session)
    } finally {
      const isClean = session.isClean
      if (!isClean)
        session.destroy(new AtollError('UNAVAILABLE', `this connection to ${name} was given back unfit for use`))
      raw.release(!isClean)
    }
  }

  async function close(): Promise<void> {
    const timer = host.after(callMs, destroyAll)
    await pool.end()
    timer.cancel()
  }

  function destroyAll(): void {
    for (const session of sessions.values())
      session.destroy(new AtollError('UNAVAILABLE', `the connections to ${name} are closed`))
  }

  return {
    name,
    host,
    connectionsMax,
    callMs,
    use,
    query: <R = Row>(sql: string, params?: readonly Param[], callMs?: number): Promise<Result<R>> =>
      use((client) => client.query<R>(sql, params, callMs)),
    async connect({ replica = false } = {}) {
      const raw = new pg.Client(config)
      const session = new Session(raw, talk)
      try {
        await raw.connect()
        await setUp(session, name, settings, connectMs, replica)
        return session
      } catch (error) {
        const failure = toAtollError(error, name)
        session.destroy(failure)
        throw failure
      }
    },
    close: () => (closed ??= close()),
  }
}

function toConfig(
  { url, applicationName, pipeline = false, values = 'exact' }: PoolOptions,
  connectMs: number,
): pg.ClientConfig {
  const config = {
    connectionString: url,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: connectMs,
    pipeline,
    types: types[values],
  }
  try {
    if (!/^(postgres(ql)?|socket):/.test(url))
      throw new Error('without this the library would take any text for the name of a database')
    new pg.Client(config) // only the library knows what it takes; this opens nothing
  } catch {
    // Its error holds the URL, and that holds the password.
    throw new AtollError(
      'INVALID',
      'this is not the URL of a PostgreSQL database; write postgres://user:password@host:port/database',
    )
  }
  return config
}

function nameOf(config: pg.ClientConfig): string {
  const { host, port, database } = new pg.Client(config)
  return `PostgreSQL at ${host}:${port}/${database ?? ''}`
}

function settingsOf({ role, searchPath, options }: PoolOptions, callMs: number): Readonly<Record<string, string>> {
  return {
    // A little less than the bound on this side, so that where the server answers, it says itself what took so long.
    statement_timeout: String(Math.ceil(callMs * 0.9)),
    lock_timeout: String(Math.ceil(callMs * 0.8)),
    idle_in_transaction_session_timeout: String(callMs),
    default_transaction_isolation: 'read committed',
    ...options,
    ...(searchPath && { search_path: searchPath.map((schema) => `"${schema.replaceAll('"', '""')}"`).join(', ') }),
    ...(role !== undefined && { role }),
  }
}

/** Gives a fresh session its settings. Rejects if it is one of a replica, unless that is wanted. */
async function setUp(
  session: Session,
  name: string,
  settings: Readonly<Record<string, string>>,
  connectMs: number,
  replica: boolean,
): Promise<void> {
  const { rows } = await session
    .query<{ replica: boolean }>(setUpSql, [Object.keys(settings), Object.values(settings)], connectMs)
    .catch((error: unknown) => {
      if (error instanceof AtollError) throw error
      const said = error instanceof Error ? error.message : String(error)
      throw new AtollError('UNAVAILABLE', `${name} refuses the settings of a session: ${said}`, { cause: error })
    })
  if (rows[0]?.replica && !replica)
    throw new AtollError(
      'UNAVAILABLE',
      `${name} is a replica: what is read there may be behind. Give the URL of the primary`,
    )
}

/**
 * A commit waits for the disk at least: `off` would lose what was acknowledged, `local` what was to be on standbys.
 * Stricter ones stay.
 */
const setUpSql = `
  SELECT pg_is_in_recovery() AS replica,
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END,
    (SELECT count(set_config(name, value, false)) FROM unnest($1::text[], $2::text[]) AS settings (name, value))`

import { AtollError, type Examination, type Host } from '@atoll/host'
import { examinePostgres, openPool, quoteIdentifier, type Need, type Pool, type PoolOptions } from '@atoll/postgres'
import type { Migrations, Reader, Store, StoreCapabilities, StoreDriver } from '../../driver.ts'
import { refuseTwins } from '../../refusals.ts'
import { Hints } from './hints.ts'
import { defaultLimits, type PostgresLimits } from './limits.ts'
import { assertSystemName, placeOf } from './names.ts'
import { provision } from './provision.ts'
import { PostgresReader } from './reader.ts'
import { PostgresStore } from './store.ts'
import { Writer } from './writer.ts'

export interface PostgresStoresOptions {
  /**
   * `postgres://user:password@host:port/database`. A user who may make roles has each service act as a role of its own,
   * in a schema of its own; any other user must be the role of the one service that runs here.
   */
  url: string
  /** The name of the system, which keeps it apart from others in the same database. */
  system: string
  host: Host
  /**
   * What a process will have open, as far as it is known: stores, and readers over several, of services with
   * projections. `examine` says how many connections that takes, with what a rebuild of a projection takes besides.
   */
  expected?: { readonly stores: number; readonly readers: number } | undefined
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<PostgresLimits>
}

/**
 * Stores as schemas of a PostgreSQL database, `system_service`, each with a role that can open no other. Any number of
 * processes may have a store open; they write it one after the other. A commit is as durable as the server's settings
 * make it, which `atoll doctor` reads.
 */
export function createPostgresStores(options: PostgresStoresOptions): StoreDriver {
  assertSystemName(options.system)
  return new PostgresStores(options, { ...defaultLimits, ...options.limits })
}

class PostgresStores implements StoreDriver {
  readonly capabilities: StoreCapabilities
  readonly #options: PostgresStoresOptions
  readonly #limits: PostgresLimits
  /** For making stores ready, and asking what is there. */
  readonly #pool: Pool
  readonly #hints: Hints
  readonly #open = new Map<string, PostgresStore>()
  readonly #opening = new Set<string>()
  /** Those over several stores, which belong to none of them. */
  readonly #readers = new Set<Reader>()
  #closing: Promise<void> | undefined

  constructor(options: PostgresStoresOptions, limits: PostgresLimits) {
    this.#options = options
    this.#limits = limits
    this.#pool = this.#openPool('stores', { connectionsMax: besideMax })
    this.#hints = new Hints(this.#pool, options.system, options.host)
    this.capabilities = {
      sql: 'postgres',
      persistent: true,
      canBeDurable: true,
      groupsCommits: true,
      writesQueuedMax: limits.writesQueuedMax,
    }
  }

  readonly open = async (name: string, migrations: Migrations): Promise<Store> => {
    if (this.#open.has(name) || this.#opening.has(name))
      throw new AtollError('DATA_IN_USE', `store ${name} is open already; in one process a store has one owner`)
    const place = placeOf(this.#options.system, name)
    this.#assertOpen(name)
    const { host } = this.#options
    this.#opening.add(name)
    try {
      const provisioned = await this.#pool.use((client) => provision(client, place, migrations, host))
      this.#assertOpen(name)
      const session = { searchPath: [place.schema], ...(provisioned.role !== undefined && { role: provisioned.role }) }
      const pool = this.#openWriting(name, session)
      const writer = new Writer(place.schema, pool, host, this.#limits, provisioned.deferred)
      const reader = new PostgresReader(place.schema, this.#openReading(name, session), [writer])
      const store = new PostgresStore(name, place, provisioned, { pool, writer, reader, hints: this.#hints }, () =>
        this.#open.delete(name),
      )
      this.#open.set(name, store)
      return store
    } finally {
      this.#opening.delete(name)
    }
  }

  readonly openReader = (names: readonly string[]): Reader => {
    const stores = names.map((name) => this.#require(name))
    const [first] = stores
    if (!first) throw new AtollError('UNSUPPORTED', 'a reader needs at least one store')
    refuseTwins(stores.map(({ name, provisioned }) => ({ name, tables: provisioned.tables })))
    const roles = new Set(stores.map(({ provisioned }) => provisioned.role))
    // The stores of several services are read together by whoever may read them all, and by no service.
    const role = roles.size === 1 ? first.provisioned.role : undefined
    const session = { searchPath: stores.map(({ place }) => place.schema), ...(role !== undefined && { role }) }
    const reader: Reader = new PostgresReader(
      names.join(', '),
      this.#openReading(names.join('+'), session),
      stores.map(({ writer }) => writer),
      () => void this.#readers.delete(reader),
    )
    this.#readers.add(reader)
    return reader
  }

  readonly exists = async (name: string): Promise<boolean> => {
    const { rows } = await this.#pool.query('SELECT 1 AS one FROM pg_namespace WHERE nspname = $1', [
      placeOf(this.#options.system, name).schema,
    ])
    return rows.length > 0
  }

  readonly remove = async (name: string): Promise<void> => {
    if (this.#open.has(name))
      throw new AtollError('DATA_IN_USE', `store ${name} is open; close it before it is removed`)
    await this.#pool.query(
      `DROP SCHEMA IF EXISTS ${quoteIdentifier(placeOf(this.#options.system, name).schema)} CASCADE`,
    )
  }

  readonly examine = (): Promise<Examination> => examinePostgres(this.#pool, this.#need())

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#hints.close()
    await Promise.all([...this.#readers, ...this.#open.values()].map((open) => open.close()))
    await this.#pool.close()
  }

  /**
   * What all of it takes when it is busy. A connection is opened when it is needed, so a process that is idle has
   * fewer.
   */
  #need(): Need {
    const { expected = { stores: 0, readers: 0 } } = this.#options
    const ofReader = this.#limits.readersMax
    const ofStore = 1 + ofReader // one writes
    const beside = besideMax + 1 // one listens
    const taken = (stores: number, readers: number): number => beside + stores * ofStore + readers * ofReader
    // the next generation of a projection, and a reader with it before the one without it is closed
    const ofRebuild = expected.readers > 0 ? ofStore + ofReader : 0
    const stores = Math.max(this.#open.size, expected.stores)
    const connections = Math.max(
      taken(this.#open.size, this.#readers.size),
      taken(expected.stores, expected.readers) + ofRebuild,
    )
    if (stores === 0)
      return {
        connections,
        message: `each process takes up to ${beside}, and ${ofStore} more for each store that it opens`,
      }
    const rebuild = ofRebuild > 0 ? `, ${ofRebuild} of them while a projection is rebuilt` : ''
    return {
      connections,
      message: `${stores === 1 ? '1 store in one process takes' : `${stores} stores in one process take`} up to ${connections}${rebuild}, and as many again in every other one`,
    }
  }

  /**
   * A server that sends an answer to a process that stopped does not count as idle; so it gives up the connection after
   * as long.
   */
  #openWriting(name: string, session: Partial<PoolOptions>): Pool {
    return this.#openPool(name, {
      ...session,
      connectionsMax: 1,
      pipeline: true,
      options: { tcp_user_timeout: String(this.#limits.idleMs) },
    })
  }

  #openReading(name: string, session: Partial<PoolOptions>): Pool {
    return this.#openPool(`${name}, reading`, {
      ...session,
      connectionsMax: this.#limits.readersMax,
      options: { default_transaction_read_only: 'on' },
    })
  }

  #openPool(name: string, more: Partial<PoolOptions> & { connectionsMax: number }): Pool {
    const { url, host, system } = this.#options
    const { callMs, lockMs, idleMs } = this.#limits
    const options = {
      lock_timeout: String(lockMs),
      idle_in_transaction_session_timeout: String(idleMs),
      ...more.options,
    }
    return openPool({
      url,
      host,
      applicationName: `atoll ${system} ${name}`.slice(0, 63),
      callMs,
      values: 'plain',
      ...more,
      options,
    })
  }

  #assertOpen(name: string): void {
    if (this.#closing)
      throw new AtollError('STORE_CLOSED', `store ${name} was to be opened after its driver was closed`)
  }

  #require(name: string): PostgresStore {
    const store = this.#open.get(name)
    if (!store) throw new AtollError('STORE_CLOSED', `store ${name} is not open`)
    return store
  }
}

/** The most connections of a process that belong to none of its stores, besides the one that listens. */
const besideMax = 2

import { AtollError } from '@atoll/host'
import type { Reader, Row, Statement, Store, Transaction, Value } from '../../driver.ts'
import { sqliteDialect, type Connection } from './connection.ts'
import type { Writer } from './writer.ts'

/** A store in a SQLite file, or in memory. Its methods need no `this`, so that it can be wrapped by spreading. */
export class SqliteStore implements Store {
  readonly name: string
  readonly reader: Reader
  readonly writer: Writer
  readonly connection: Connection
  readonly #onClose: () => void
  #closing: Promise<void> | undefined

  constructor(name: string, connection: Connection, writer: Writer, reader: Reader, onClose: () => void) {
    this.name = name
    this.connection = connection
    this.writer = writer
    this.reader = reader
    this.#onClose = onClose
  }

  readonly write = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => this.writer.write(work)

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.writer.close()
    await this.reader.close()
    this.connection.database.close()
    this.#onClose()
  }
}

/** Committed state of a file, through a connection of its own that never waits for the writer. */
export class FileReader implements Reader {
  readonly dialect = sqliteDialect
  readonly #connection: Connection
  readonly #onClose: () => void
  #closed = false

  constructor(connection: Connection, onClose: () => void = () => {}) {
    this.#connection = connection
    this.#onClose = onClose
  }

  async run(): Promise<never> {
    throw readOnly(this.#connection.file)
  }

  async runEach(): Promise<never> {
    throw readOnly(this.#connection.file)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R | undefined> {
    this.#assertOpen()
    this.#connection.assertReads(statement)
    return this.#connection.get(statement, params) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R[]> {
    this.#assertOpen()
    this.#connection.assertReads(statement)
    return this.#connection.all(statement, params) as R[] // the caller knows its columns
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#connection.database.close()
    this.#onClose()
  }

  #assertOpen(): void {
    if (this.#closed) throw new AtollError('STORE_CLOSED', `${this.#connection.file} was read after close`)
  }
}

/**
 * Committed state of databases in memory, which have one connection each: a read waits until no commit is open there. A statement runs
 * on the first of them that has its tables.
 */
export class MemoryReader implements Reader {
  readonly dialect = sqliteDialect
  readonly #sources: readonly { readonly connection: Connection; readonly writer: Writer }[]
  readonly #onClose: () => void
  #closed = false

  constructor(sources: readonly { readonly connection: Connection; readonly writer: Writer }[], onClose: () => void = () => {}) {
    this.#sources = sources
    this.#onClose = onClose
  }

  async run(): Promise<never> {
    throw readOnly(':memory:')
  }

  async runEach(): Promise<never> {
    throw readOnly(':memory:')
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R | undefined> {
    return (await this.#connectionFor(statement)).get(statement, params) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R[]> {
    return (await this.#connectionFor(statement)).all(statement, params) as R[] // the caller knows its columns
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#onClose()
  }

  async #connectionFor(statement: Statement): Promise<Connection> {
    if (this.#closed) throw new AtollError('STORE_CLOSED', 'a store in memory was read after close')
    const source = this.#sources.find(({ connection }) => understands(connection, statement)) ?? this.#sources[0]!
    while (source.writer.isOpen) await source.writer.idle()
    source.connection.assertReads(statement)
    return source.connection
  }
}

/** Whether a database has every table that a statement names. */
function understands(connection: Connection, statement: Statement): boolean {
  try {
    connection.database.prepare(statement.sql)
    return true
  } catch {
    return false // another database will have them, or the first one will say what is wrong
  }
}

function readOnly(file: string): AtollError {
  return new AtollError('UNSUPPORTED', `${file} was written through a reader; write in a transaction`)
}


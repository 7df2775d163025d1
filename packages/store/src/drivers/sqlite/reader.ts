import type { Reader, Row, Statement, Value } from '../../driver.ts'
import { assertStorable, readOnly, usedAfterClose } from '../../refusals.ts'
import { allPrepared, getPrepared, noParams, sqliteDialect, type Connection, type Prepared } from './connection.ts'
import type { Writer } from './writer.ts'

/** Committed state of files, through a connection of its own that never waits for the writer. */
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

  async insert(): Promise<never> {
    throw readOnly(this.#connection.file)
  }

  async runEach(): Promise<never> {
    throw readOnly(this.#connection.file)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R | undefined> {
    return this.#read(statement, params, getPrepared) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R[]> {
    return this.#read(statement, params, allPrepared) as R[] // the caller knows its columns
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#connection.database.close()
    this.#onClose()
  }

  #read(statement: Statement, params: readonly Value[], read: Read): unknown {
    if (this.#closed) throw usedAfterClose(this.#connection.file, 'read')
    return readWith(this.#connection, statement, params, read)
  }
}

/**
 * Committed state of databases in memory, which have one connection each: a read waits until no commit is open there. A
 * statement runs on the first of them that has all its tables.
 */
export class MemoryReader implements Reader {
  readonly dialect = sqliteDialect
  readonly #sources: readonly MemorySource[]
  readonly #onClose: () => void
  readonly #sourceOf = new WeakMap<Statement, MemorySource>()
  #closed = false

  constructor(sources: readonly MemorySource[], onClose: () => void = () => {}) {
    this.#sources = sources
    this.#onClose = onClose
  }

  async run(): Promise<never> {
    throw readOnly(this.#sources[0]!.connection.file)
  }

  async insert(): Promise<never> {
    throw readOnly(this.#sources[0]!.connection.file)
  }

  async runEach(): Promise<never> {
    throw readOnly(this.#sources[0]!.connection.file)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R | undefined> {
    return (await this.#read(statement, params, getPrepared)) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R[]> {
    return (await this.#read(statement, params, allPrepared)) as R[] // the caller knows its columns
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#onClose()
  }

  /** Asked once for each statement: SQLite says no by an error, which costs more than most reads. */
  #sourceFor(statement: Statement): MemorySource {
    let source = this.#sourceOf.get(statement)
    if (!source) {
      source = this.#sources.find((one) => understands(one, statement)) ?? this.#sources[0]!
      this.#sourceOf.set(statement, source)
    }
    return source
  }

  #read(statement: Statement, params: readonly Value[], read: Read): Promise<unknown> {
    if (this.#closed) throw usedAfterClose(this.#sources[0]!.connection.file, 'read')
    const source = this.#sourceFor(statement)
    return source.writer.betweenCommits(() => {
      if (this.#closed) throw usedAfterClose(source.connection.file, 'read')
      return readWith(source.connection, statement, params, read)
    })
  }
}

/** What a {@link MemoryReader} reads. */
export interface MemorySource {
  readonly connection: Connection
  readonly writer: Writer
}

type Read = (prepared: Prepared, params: readonly Value[]) => unknown

function readWith(connection: Connection, statement: Statement, params: readonly Value[], read: Read): unknown {
  try {
    assertStorable(params)
    const prepared = connection.prepare(statement)
    if (prepared.writes) throw readOnly(connection.file)
    return read(prepared, params)
  } catch (error) {
    throw connection.error(error)
  }
}

/** Whether a database has every table that a statement names. */
function understands({ connection }: MemorySource, statement: Statement): boolean {
  try {
    connection.prepare(statement)
    return true
  } catch {
    return false // another database will have them, or the first one will say what is wrong
  }
}

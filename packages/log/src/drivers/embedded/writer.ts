import { toAtollError, type Database, type Statement } from '@atoll/sqlite'

/** What one commit adds to the file. All of it, or nothing. */
export interface Writing {
  /** Streams that the file does not know yet: id, source, partition. */
  readonly streams: readonly (readonly [number, string, number])[]
  /**
   * The columns of the records, one record after the other, {@link recordColumns} each. Flat, because it may travel to
   * a thread.
   */
  readonly values: readonly (string | number)[]
}

/** How many columns the table of records has. */
const recordColumns = 10

/** Makes things durable, one commit after the other. */
export interface Writer {
  /** Resolves when all of it is durable; rejects when nothing of it is. */
  write(writing: Writing): Promise<void>
  /** Waits for the commit under way, then frees everything. */
  close(): Promise<void>
}

/** Writes through a connection of its own, at once. */
export class DirectWriter implements Writer {
  readonly #database: Database
  readonly #file: string
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #insertStream: Statement
  readonly #insertRecord: Statement

  constructor(database: Database, file: string) {
    this.#database = database
    this.#file = file
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
    this.#insertStream = database.prepare('INSERT INTO streams (id, source, partition) VALUES (?, ?, ?)')
    this.#insertRecord = database.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  }

  async write({ streams, values }: Writing): Promise<void> {
    try {
      this.#begin.run()
      for (const stream of streams) this.#insertStream.run(stream)
      for (let at = 0; at < values.length; at += recordColumns)
        this.#insertRecord.run(values.slice(at, at + recordColumns))
      this.#commit.run()
    } catch (error) {
      if (this.#database.inTransaction) this.#rollback.run() // some failures make SQLite roll back by itself
      throw toAtollError(error, this.#file)
    }
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}

import type { Reader, Store, Transaction, WriteOptions } from '../../driver.ts'
import type { Connection } from './connection.ts'
import type { Writer } from './writer.ts'

/** A store in a SQLite file, or in memory. Its methods need no `this`, so that it can be wrapped by spreading. */
export class SqliteStore implements Store {
  readonly name: string
  readonly reader: Reader
  readonly writer: Writer
  readonly connection: Connection
  /** Closes the database, or keeps it for whoever opens the store next. */
  readonly #onClose: () => void
  #closing: Promise<void> | undefined

  constructor(name: string, connection: Connection, writer: Writer, reader: Reader, onClose: () => void) {
    this.name = name
    this.connection = connection
    this.writer = writer
    this.reader = reader
    this.#onClose = onClose
  }

  readonly write = <T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T> =>
    this.writer.write(work, options)

  // A file belongs to one process.
  readonly tell = (): void => {}
  readonly watch = (): (() => void) => () => {}

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.writer.close()
    await this.reader.close()
    this.#onClose()
  }
}

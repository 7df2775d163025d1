import type { Pool } from '@atoll/postgres'
import type { Reader, Store, Transaction, WriteOptions } from '../../driver.ts'
import type { Place } from './names.ts'
import type { Provisioned } from './provision.ts'
import type { Hints } from './hints.ts'
import type { Writer } from './writer.ts'

/** A store in a schema. Its methods need no `this`, so that it can be wrapped by spreading. */
export class PostgresStore implements Store {
  readonly name: string
  readonly place: Place
  readonly provisioned: Provisioned
  readonly writer: Writer
  readonly reader: Reader
  readonly #pool: Pool
  readonly #hints: Hints
  readonly #onClose: () => void
  #closing: Promise<void> | undefined

  constructor(
    name: string,
    place: Place,
    provisioned: Provisioned,
    parts: { pool: Pool; writer: Writer; reader: Reader; hints: Hints },
    onClose: () => void,
  ) {
    this.name = name
    this.place = place
    this.provisioned = provisioned
    this.writer = parts.writer
    this.reader = parts.reader
    this.#pool = parts.pool
    this.#hints = parts.hints
    this.#onClose = onClose
  }

  readonly write = <T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T> =>
    this.writer.write(work, options)

  readonly tell = (): void => this.#hints.tell(this.name)

  readonly watch = (listener: () => void): (() => void) => this.#hints.watch(this.name, listener)

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.writer.close()
    await this.reader.close()
    await this.#pool.close()
    this.#onClose()
  }
}

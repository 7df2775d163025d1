import type { Pool } from '@atoll/postgres'
import type { Reader, Store, Transaction } from '../../driver.ts'
import type { Place } from './names.ts'
import type { Provisioned } from './provision.ts'
import type { Writer } from './writer.ts'

/** A store in a schema. Its methods need no `this`, so that it can be wrapped by spreading. */
export class PostgresStore implements Store {
  readonly name: string
  readonly place: Place
  readonly provisioned: Provisioned
  readonly writer: Writer
  readonly reader: Reader
  readonly #pool: Pool
  readonly #onClose: () => void
  #closing: Promise<void> | undefined

  constructor(name: string, place: Place, provisioned: Provisioned, parts: { pool: Pool; writer: Writer; reader: Reader }, onClose: () => void) {
    this.name = name
    this.place = place
    this.provisioned = provisioned
    this.writer = parts.writer
    this.reader = parts.reader
    this.#pool = parts.pool
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
    await this.#pool.close()
    this.#onClose()
  }
}

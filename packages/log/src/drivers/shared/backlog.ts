import { AtollError } from '@atoll/host'
import type { CommonLimits } from './limits.ts'

/** What waits for an engine, and is kept in memory meanwhile. */
export class Backlog {
  readonly #engine: string
  readonly #limits: Pick<CommonLimits, 'queuedRecordsMax' | 'queuedBytesMax'>
  #records = 0
  #bytes = 0

  constructor(engine: string, limits: Pick<CommonLimits, 'queuedRecordsMax' | 'queuedBytesMax'>) {
    this.#engine = engine
    this.#limits = limits
  }

  /**
   * Takes up room for an append, until what it returns is called. One append alone always finds room. Throws
   * OVERLOADED.
   */
  take(source: string, records: number, bytes: number): () => void {
    const { queuedRecordsMax, queuedBytesMax } = this.#limits
    if (this.#records > 0 && (this.#records + records > queuedRecordsMax || this.#bytes + bytes > queuedBytesMax)) {
      throw new AtollError(
        'OVERLOADED',
        `${this.#records} records wait for ${this.#engine} already; ${records} of ${source} are over queuedRecordsMax (${queuedRecordsMax}) or queuedBytesMax (${queuedBytesMax})`,
      )
    }
    this.#records += records
    this.#bytes += bytes
    return () => {
      this.#records -= records
      this.#bytes -= bytes
    }
  }
}

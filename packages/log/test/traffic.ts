import assert from 'node:assert/strict'
import { setTimeout as after } from 'node:timers/promises'
import { AtollError } from '@atoll/host'
import { assertNumbers, createRecords, numbersTo, readAll } from '../src/conformance/records.ts'
import type { Log } from '../src/driver.ts'

const source = 'orders'
const PARTITIONS = 4

/** Appends to a log as relays do, batch after batch, and the same batch again as long as the log is unavailable. */
export class Traffic {
  /** The last number that was acknowledged, of every partition. */
  acknowledged = 0
  /** The longest that it took from one acknowledgement to the next, milliseconds. */
  longestMs = 0
  readonly #log: Log
  #over = false
  readonly #done: Promise<void>

  constructor(log: Log) {
    this.#log = log
    this.#done = this.#append()
    this.#done.catch(() => {}) // told by `end`
  }

  /** Resolves when so many more have been acknowledged, of every partition. Rejects if the log refuses any with something else than UNAVAILABLE, or after `boundMs`. */
  async more(count: number, boundMs: number): Promise<void> {
    const goal = this.acknowledged + count
    for (const until = Date.now() + boundMs; this.acknowledged < goal; await after(5)) {
      if (this.#over) await this.#done
      if (Date.now() > until) throw new Error(`after ${boundMs} ms, ${this.acknowledged} are acknowledged, and ${goal} were to be`)
    }
  }

  /** Ends it, and asserts that everything that was acknowledged is in the log once and in order, with nothing missing before it. */
  async end(reader: Log): Promise<void> {
    this.#over = true
    await this.#done
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const records = await readAll(reader, source, partition)
      assertNumbers(records.map(({ number }) => number), numbersTo(this.acknowledged))
      for (const { id, number } of records) assert.equal(id, `${source}/${partition}/${number}`)
      assert.equal((await reader.tail(source, partition))?.number, this.acknowledged)
    }
  }

  async #append(): Promise<void> {
    try {
      let answeredAt = performance.now()
      while (!this.#over) {
        const first = this.acknowledged + 1
        const batch = Array.from({ length: PARTITIONS }, (_, partition) => createRecords(source, partition, first, first + BATCH - 1)).flat()
        for (;;) {
          try {
            await this.#log.append(source, batch)
            break
          } catch (error) {
            if (AtollError.from(error).code !== 'UNAVAILABLE') throw error
            await after(20)
          }
        }
        this.acknowledged += BATCH
        this.longestMs = Math.max(this.longestMs, performance.now() - answeredAt)
        answeredAt = performance.now()
      }
    } finally {
      this.#over = true
    }
  }
}

const BATCH = 5

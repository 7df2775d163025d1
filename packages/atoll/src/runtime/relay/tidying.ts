import type { Statement, Store } from '@atoll/store/driver'
import type { OutboxEvent } from './outbox.ts'
import { assertRelays } from './outbox.ts'

const deleteOutbox: Statement = { sql: 'DELETE FROM atoll_outbox WHERE seq <= ?' }
const upsertStream: Statement = {
  sql: `INSERT INTO atoll_streams (partition, number, seq, id) VALUES (?, ?, ?, ?)
        ON CONFLICT (partition) DO UPDATE SET number = excluded.number, seq = excluded.seq, id = excluded.id`,
}
const upsertPublished: Statement = {
  sql: 'INSERT INTO atoll_published (type, count) VALUES (?, ?) ON CONFLICT (type) DO UPDATE SET count = atoll_published.count + excluded.count',
}
const countOutbox: Statement = { sql: 'SELECT type, count(*) AS count FROM atoll_outbox WHERE seq <= ? GROUP BY type' }

/** What the log has and the outbox still holds. */
export class Tidying {
  /** Events by type. */
  #types = new Map<string, number>()
  /** The last record of each partition, as far as it is not noted as its stream's tail yet. */
  #tails = new Map<number, Tail>()
  /** Tidying failed, and may have lasted all the same: what is counted here may be counted there. */
  #isUnsure = false

  get isEmpty(): boolean {
    return this.#tails.size === 0
  }

  /** The log has these, in the order of the outbox; `numbers`: the last one given in each partition. */
  note(events: readonly OutboxEvent[], numbers: ReadonlyMap<number, number>): void {
    for (const { seq, type, partition, id } of events) {
      this.#types.set(type, (this.#types.get(type) ?? 0) + 1)
      // the last one of a partition has its last number
      this.#tails.set(partition, { number: numbers.get(partition)!, seq, id })
    }
  }

  clear(): void {
    this.#types = new Map()
    this.#tails = new Map()
  }

  /**
   * Deletes what is noted, up to `seq`, and notes the tails of streams, in one transaction. `isOurs` says afterwards
   * whether the lease still is.
   */
  async commit(store: Store, service: string, epoch: number, seq: number, isOurs: () => boolean): Promise<void> {
    const types = this.#types
    const tails = this.#tails
    this.clear()
    try {
      await store.write(async (tx) => {
        await assertRelays(tx, service, epoch)
        const counts = this.#isUnsure
          ? (await tx.all<{ type: string; count: number }>(countOutbox, [seq])).map(
              ({ type, count }): [string, number] => [type, count],
            )
          : [...types]
        await tx.run(deleteOutbox, [seq])
        await tx.runEach(
          upsertStream,
          [...tails].map(([partition, { number, seq, id }]) => [partition, number, seq, id]),
        )
        await tx.runEach(upsertPublished, counts)
      })
      this.#isUnsure = false
    } catch (error) {
      this.#isUnsure = true
      if (!isOurs()) throw error // whoever has the lease counts anew
      for (const [type, count] of types) this.#types.set(type, (this.#types.get(type) ?? 0) + count)
      this.#tails = new Map([...tails, ...this.#tails])
      throw error
    }
  }
}

/** The last record of a partition. */
interface Tail {
  readonly number: number
  readonly seq: number
  readonly id: string
}

import type { Host } from '@atoll/host'
import type { Statement, Store, Transaction } from '@atoll/store/driver'
import type { RuntimeOptions } from './options.ts'

const upsertInstance: Statement = {
  sql: 'INSERT INTO atoll_instances (subscription, instance, expires_at) VALUES (?, ?, ?) ON CONFLICT (subscription, instance) DO UPDATE SET expires_at = excluded.expires_at',
}
const deleteInstances: Statement = {
  sql: 'DELETE FROM atoll_instances WHERE subscription = ? AND (expires_at <= ? OR expires_at > ?)',
}
const deleteInstance: Statement = { sql: 'DELETE FROM atoll_instances WHERE subscription = ? AND instance = ?' }
const countInstances: Statement = { sql: 'SELECT count(*) AS count FROM atoll_instances WHERE subscription = ?' }
const selectLeases: Statement = {
  sql: 'SELECT partition, owner, epoch, expires_at FROM atoll_leases WHERE subscription = ?',
}
const takeLease: Statement = {
  sql: `INSERT INTO atoll_leases (subscription, partition, owner, epoch, expires_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (subscription, partition) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, expires_at = excluded.expires_at`,
}
const fenceCursors: Statement = { sql: 'UPDATE atoll_cursors SET epoch = ? WHERE subscription = ? AND partition = ?' }
const countEnd: Statement = {
  sql: `INSERT INTO atoll_ends (subscription, partition, ends) VALUES (?, ?, 1)
        ON CONFLICT (subscription, partition) DO UPDATE SET ends = atoll_ends.ends + 1`,
}
const isOurs = 'EXISTS (SELECT 1 FROM atoll_leases WHERE subscription = ? AND partition = ? AND epoch = ?)'
const forgetTries: Statement = { sql: `DELETE FROM atoll_tries WHERE subscription = ? AND partition = ? AND ${isOurs}` }
const forgetEnds: Statement = { sql: `DELETE FROM atoll_ends WHERE subscription = ? AND partition = ? AND ${isOurs}` }
const releaseLease: Statement = {
  sql: `UPDATE atoll_leases SET owner = '', expires_at = 0 WHERE subscription = ? AND partition = ? AND epoch = ?`,
}

interface LeaseRow {
  partition: number
  owner: string
  epoch: number
  expires_at: number
}

/** What a look at the leases brought. */
export interface LeaseChanges {
  /** Partitions that are ours from now on, with their epochs. */
  readonly taken: ReadonlyMap<number, number>
  /** Partitions that somebody else has taken over. What we still do there is fenced. */
  readonly lost: readonly number[]
  /** Partitions above our fair share, still ours, to be released once nothing is in hand there. */
  readonly surplus: readonly number[]
  /** Whether other instances share the partitions. */
  readonly isShared: boolean
}

/**
 * Shares the partitions of one subscription among its instances. Leases live in the subscriber's own store, beside the
 * cursors that they protect. A partition is free when nobody holds it, when its lease ran out, or when it was held
 * under our own name by a process that is gone. Each new owner raises the epoch; an owner that comes back from a long
 * pause finds it changed, and cannot commit.
 */
export class Leases {
  readonly #store: Store
  readonly #subscription: string
  readonly #host: Host
  readonly #options: RuntimeOptions
  readonly #countsEnds: boolean
  /** What this process has taken: partition → epoch. To take such a lease again is not to follow somebody who ended. */
  readonly #own = new Map<number, number>()

  /**
   * `countsEnds`: notes which partitions were left by an owner that ended without giving them up. Only where events are
   * handled does one look.
   */
  constructor(
    store: Store,
    subscription: string,
    host: Host,
    options: RuntimeOptions,
    { countsEnds }: { readonly countsEnds: boolean },
  ) {
    this.#store = store
    this.#subscription = subscription
    this.#host = host
    this.#options = options
    this.#countsEnds = countsEnds
  }

  /** Renews what is held, takes what is free up to our share, and says what has changed. `held`: partition → epoch. */
  async look(held: ReadonlyMap<number, number>): Promise<LeaseChanges> {
    const { partitions, instance, leaseMs } = this.#options
    const changes = await this.#store.write(
      async (tx) => {
        const now = this.#host.now() // not before the work's turn has come: others may have waited before it
        const expiresAt = now + leaseMs
        const [, , live, leases] = await Promise.all([
          tx.run(upsertInstance, [this.#subscription, instance, expiresAt]),
          tx.run(deleteInstances, [this.#subscription, now, now + CREDIBLE * leaseMs]),
          tx.get<{ count: number }>(countInstances, [this.#subscription]),
          tx.all<LeaseRow>(selectLeases, [this.#subscription]),
        ])
        const share = Math.ceil(partitions / Math.max(1, live?.count ?? 1))
        const rows = new Map(leases.map((row) => [row.partition, row]))

        const taken = new Map<number, number>()
        const [abandoned, reopened]: [number[], number[]] = [[], []]
        const lost: number[] = []
        const ours: number[] = []
        for (const [partition, epoch] of held) {
          if (rows.get(partition)?.epoch === epoch) ours.push(partition)
          else lost.push(partition)
        }
        const surplus = ours.splice(share)
        for (let partition = 0; partition < partitions && ours.length + taken.size < share; partition++) {
          if (held.has(partition) && !lost.includes(partition)) continue
          const row = rows.get(partition)
          const free =
            !row ||
            row.owner === '' ||
            row.expires_at <= now ||
            row.expires_at > now + CREDIBLE * leaseMs ||
            (row.owner === instance && !lost.includes(partition))
          if (!free) continue
          taken.set(partition, (row?.epoch ?? 0) + 1)
          if (row?.epoch !== undefined && row.owner !== '')
            (this.#own.get(partition) === row.epoch ? reopened : abandoned).push(partition)
        }
        const kept = [...ours, ...surplus].map((partition) => [partition, held.get(partition)!] as const)
        await tx.runEach(
          takeLease,
          [...kept, ...taken].map(([partition, epoch]) => [this.#subscription, partition, instance, epoch, expiresAt]),
        )
        await tx.runEach(
          fenceCursors,
          [...taken].map(([partition, epoch]) => [epoch, this.#subscription, partition]),
        )
        if (this.#countsEnds) {
          await tx.runEach(
            countEnd,
            abandoned.map((partition) => [this.#subscription, partition]),
          )
          await tx.runEach(
            forgetTries,
            reopened.map((partition) => this.#where(partition, taken.get(partition)!)),
          ) // the process has not ended
        }
        return { taken, lost, surplus, isShared: (live?.count ?? 1) > 1 }
      },
      { urgent: true },
    ) // behind a backlog it would come when the leases have run out, and others had taken them
    for (const [partition, epoch] of changes.taken) this.#own.set(partition, epoch)
    return changes
  }

  /** Gives up one partition. Does nothing if somebody else has it by now. */
  async release(partition: number, epoch: number): Promise<void> {
    await this.#store.write((tx) => this.#release(tx, [[partition, epoch]]))
  }

  /** Gives up everything that is held, so that others need not wait for it to run out. */
  async leave(held: ReadonlyMap<number, number>): Promise<void> {
    await this.#store.write(async (tx) => {
      await this.#release(tx, [...held])
      await tx.run(deleteInstance, [this.#subscription, this.#options.instance])
    })
  }

  /** Caution ends with it: its owner has lived to give it up. */
  async #release(tx: Transaction, partitions: readonly (readonly [partition: number, epoch: number])[]): Promise<void> {
    await tx.runEach(
      releaseLease,
      partitions.map(([partition, epoch]) => [this.#subscription, partition, epoch]),
    )
    if (!this.#countsEnds) return
    const rows = partitions.map(([partition, epoch]) => this.#where(partition, epoch))
    await tx.runEach(forgetEnds, rows)
    await tx.runEach(forgetTries, rows)
  }

  /** A partition, if its lease is of this epoch. */
  #where(partition: number, epoch: number): (string | number)[] {
    return [this.#subscription, partition, this.#subscription, partition, epoch]
  }
}

/**
 * In leases: one that ends later than this was noted by a clock that was ahead, and would else hold for as long as that
 * clock was. Taking it from an owner who is alive after all is safe: the epoch fences.
 */
export const CREDIBLE = 2

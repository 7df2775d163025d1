import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { Statement, Store } from '@atoll/store/driver'
import { endsWithin } from '../deadline.ts'
import { createFaultLogger } from '../faults.ts'
import type { RuntimeOptions } from '../options.ts'
import { Offers } from './offers.ts'
import { toProblem } from '../problem.ts'
import { assertStoreKnowsLog } from './history.ts'
import {
  assertLogHas,
  final,
  isInOutbox,
  lastInOutbox,
  readOutbox,
  RELAY_LEASE,
  relayEpoch,
  type OutboxEvent,
  type RelayEvents,
} from './outbox.ts'
import type { Problem } from '../running.ts'
import { toRecords } from './numbering.ts'
import { Tidying } from './tidying.ts'
import { Leases } from '../leases.ts'

const selectStreams: Statement = { sql: 'SELECT partition, number, seq FROM atoll_streams' }

export interface RelayParts {
  readonly service: string
  readonly store: Store
  readonly log: Log
  readonly host: Host
  readonly logger: Logger
  readonly options: RuntimeOptions
}

/**
 * Moves events from an outbox to the log: in the order of their commits, each numbered once. The numbers follow from
 * the order of the rows and from the last number that was tidied away, so a relay that died between append and tidying
 * gives the same event the same number again, and the log ignores it.
 *
 * Of several instances one relays, under a lease. One that was paused past it, and appends all the same, gives each
 * record the number that it has, and is ignored: it reads the outbox and its epoch in one. And it cannot tidy, because
 * the epoch has changed.
 */
export class Relay {
  readonly #service: string
  readonly #store: Store
  readonly #log: Log
  readonly #host: Host
  readonly #logger: Logger
  readonly #faults: ReturnType<typeof createFaultLogger>
  readonly #options: RuntimeOptions
  readonly #tell: RelayEvents
  readonly #leases: Leases
  #hasBegun = false
  /** Whether the store was seen to know all that the log has of this service. */
  #knowsLog = false
  /** Of the lease; undefined while another instance has it. */
  #epoch: number | undefined
  #leaseTimer: Timer | undefined
  #looking: Promise<void> | undefined
  /** That look has taken no lease yet: it asks the log first. */
  #isAskingLog = false
  #lookTimer: Timer | undefined

  /** Last number given, by partition. */
  readonly #numbers = new Map<number, number>()
  /** Every row up to here is in the log. */
  #relayedSeq = 0
  readonly #offers = new Offers()
  readonly #untidy = new Tidying()
  #tidyTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #failures = 0
  readonly #onRetry: (() => void)[] = []
  #wanted = false
  #running: Promise<void> | undefined
  #stopped = false
  #tidying: Promise<void> | undefined
  /** Why it is halted. */
  #halted: AtollError | undefined
  #trouble: AtollError | undefined
  #troubledSinceMs = Infinity
  #leaseTrouble: AtollError | undefined

  constructor({ service, store, log, host, logger, options }: RelayParts, tell: RelayEvents) {
    this.#service = service
    this.#store = store
    this.#log = log
    this.#host = host
    this.#logger = logger
    this.#faults = createFaultLogger(logger, host)
    this.#options = options
    this.#tell = tell
    this.#leases = new Leases(store, RELAY_LEASE, host, { ...options, partitions: 1 }, { countsEnds: false })
  }

  /**
   * Takes up where the last one ended, if the lease is free; else stands by. Rejects with LOG_GAP if the log has lost
   * what it was given. If the store is older than the log it {@link isHalted}. For a log that does not answer it waits
   * no longer than a lease, and looks again by itself.
   */
  async start(): Promise<void> {
    this.#stopped = false
    await endsWithin(this.#host, this.#options.leaseMs, this.#lookAtLease())
    if (this.#halted && this.#halted.code !== 'STORE_OUTDATED') throw this.#halted
    this.#armLook()
  }

  /** From here on it hands on. */
  begin(): void {
    this.#hasBegun = true
    this.look()
  }

  /** Whether it is halted until somebody mends its store or the log. */
  get isHalted(): boolean {
    return this.#halted !== undefined
  }

  /**
   * Whether it does because its store is older than the log: the log has events that the store does not know, as was
   * seen at the start or when the next one was appended.
   */
  get isOutdated(): boolean {
    return this.#halted?.code === 'STORE_OUTDATED' || this.#halted?.code === 'LOG_DIVERGED'
  }

  #held(): Map<number, number> {
    return new Map(this.#epoch === undefined ? [] : [[0, this.#epoch]])
  }

  /**
   * Renews the lease or takes it, and does so again in time; sooner, if the store would not have it. A look that hangs
   * at the log since before a stop goes on for the next start.
   */
  #lookAtLease(): Promise<void> {
    return (this.#looking ??= this.#lookAtLeaseNow())
  }

  async #lookAtLeaseNow(): Promise<void> {
    let delayMs = this.#options.leaseMs / 3
    try {
      await this.#renewLease()
      this.#leaseTrouble = undefined
    } catch (thrown) {
      const error = AtollError.from(thrown)
      if (this.#stopped) return // the next start finds it again
      if (final.has(error.code)) return this.#halt(error)
      this.#leaseTrouble = error
      delayMs = Math.min(delayMs, this.#options.retryDelayMs)
      this.#faults.warn(
        { service: this.#service, error, delayMs },
        'could not renew the lease of the relay; will try again',
      )
    } finally {
      this.#looking = undefined // in one with what follows: a start finds a look that goes on, or none
    }
    if (!this.#stopped) this.#leaseTimer = this.#host.after(delayMs, () => void this.#lookAtLease())
  }

  async #renewLease(): Promise<void> {
    if (this.#epoch !== undefined && this.#troubledSinceMs + this.#options.leaseMs < this.#host.monotonicMs()) {
      const held = this.#held()
      this.#lose()
      await this.#leases.leave(held) // another instance may hand on what could not be handed on for so long
    }
    if (this.#epoch === undefined) await this.#askLog()
    if (this.#stopped) return
    const { taken, lost } = await this.#leases.look(this.#held())
    if (lost.length > 0) this.#lose()
    const epoch = taken.get(0)
    if (epoch === undefined) return
    if (!this.#stopped) await this.#load()
    // the next start takes it, and loads what is true by then
    if (this.#stopped) return this.#leases.leave(new Map([[0, epoch]]))
    this.#epoch = epoch
    this.wake()
  }

  /** Whoever cannot reach the log does not take the lease. */
  async #askLog(): Promise<void> {
    this.#isAskingLog = true
    try {
      if (this.#knowsLog) await this.#log.tail(this.#service, 0)
      else await assertStoreKnowsLog(this.#store, this.#log, this.#service, this.#options)
    } finally {
      this.#isAskingLog = false
    }
    if (!this.#knowsLog) await this.#tell.fits()
    this.#knowsLog = true
  }

  /** Other instances commit too, and what they tell may be lost. */
  #armLook(): void {
    this.#lookTimer = this.#host.after(this.#options.lookMs, () => {
      if (this.#stopped) return
      this.wake()
      this.#armLook()
    })
  }

  /** There may be new rows. Cheap; call it after each commit that emitted. */
  wake(): void {
    this.#wanted = true
    if (
      !this.#hasBegun ||
      this.#running ||
      this.#stopped ||
      this.#halted ||
      this.#retryTimer ||
      this.#epoch === undefined
    )
      return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#wanted) this.wake()
    })
  }

  /** Another process has committed events. */
  look(): void {
    this.#offers.miss()
    this.wake()
  }

  /** Whether this instance relays. */
  get leads(): boolean {
    return this.#epoch !== undefined
  }

  /** Events have committed that nobody {@link offer}s. */
  announce(): void {
    if (!this.leads) this.#store.tell()
    this.look()
  }

  /**
   * These events have committed. Like {@link wake}, and saves a look into the outbox if nothing is missing before them.
   */
  offer(events: readonly OutboxEvent[]): void {
    if (this.#epoch === undefined) return this.#store.tell() // another instance relays, and reads them
    this.#offers.add(events, this.#relayedSeq)
    this.wake()
  }

  /** Why it does not move, in words; undefined if it does. */
  get problem(): Problem | undefined {
    const what = `the relay of ${this.#service}`
    if (this.#halted) return toProblem(`${what} is halted`, this.#halted)
    if (this.#trouble) return toProblem(`${what} cannot hand events to the log, and tries again`, this.#trouble)
    return this.#leaseTrouble && toProblem(`${what} cannot keep its lease, and tries again`, this.#leaseTrouble)
  }

  /** Whether all that it knows of is in the log. */
  get idle(): boolean {
    return !this.#running && !this.#retryTimer
  }

  /** Every event up to this place in the commit order is in the log. */
  get relayedSeq(): number {
    return this.#relayedSeq
  }

  /** Resolves when all that was in the outbox at the call is in the log. Rejects if that cannot be without help. */
  async drained(): Promise<void> {
    await this.#flush()
    while (this.#retryTimer && !this.#stopped) {
      await new Promise<void>((resolve) => this.#onRetry.push(resolve))
      await this.#flush()
    }
    if (this.#halted) throw this.#halted
    if (this.#epoch === undefined) await this.#drainedByOthers()
  }

  /** Another instance relays: waits until it has. */
  async #drainedByOthers(): Promise<void> {
    const last = await lastInOutbox(this.#store.reader)
    while (this.#epoch === undefined && !this.#stopped) {
      if (!(await isInOutbox(this.#store.reader, last))) return
      await new Promise<void>((resolve) => this.#host.after(this.#options.relayTidyMs, resolve))
    }
    if (!this.#stopped) await this.drained()
  }

  /** Hands on what is there, tidies up and ends; all the same if the log does not answer within `flushMs`. */
  async stop(flushMs: number): Promise<void> {
    const flushed = await endsWithin(this.#host, flushMs, this.#flush())
    this.#stopped = true
    this.#hasBegun = false
    for (const timer of [this.#retryTimer, this.#tidyTimer, this.#leaseTimer, this.#lookTimer]) timer?.cancel()
    this.#retryTimer = this.#tidyTimer = undefined
    for (const resolve of this.#onRetry.splice(0)) resolve()
    const warn =
      (message: string) =>
      (error: unknown): void =>
        this.#logger.warn({ service: this.#service, error }, message)
    if (!flushed)
      this.#logger.warn(
        { service: this.#service },
        'the log did not answer in time; what it has not taken stays in the outbox, and the next start hands it on',
      )
    // if there is a lease, it runs out by itself
    if (this.#isAskingLog || !(await endsWithin(this.#host, flushMs, this.#looking ?? Promise.resolve()))) return
    if (!this.#halted && flushed) {
      await this.#tidy().catch(warn('could not tidy the outbox; the next start will'))
    }
    await this.#leases
      .leave(this.#held())
      .catch(warn('could not give up the lease of the relay; it runs out by itself'))
    this.#epoch = undefined
  }

  async #flush(): Promise<void> {
    this.look()
    while (this.#running) await this.#running
  }

  async #load(): Promise<void> {
    this.#numbers.clear()
    this.#untidy.clear()
    this.#offers.clear()
    this.#relayedSeq = 0
    for (const row of await this.#store.reader.all<{ partition: number; number: number; seq: number }>(selectStreams)) {
      this.#numbers.set(row.partition, row.number)
      this.#relayedSeq = Math.max(this.#relayedSeq, row.seq)
    }
    await assertLogHas(this.#log, this.#service, this.#numbers)
  }

  async #run(): Promise<void> {
    const epoch = this.#epoch
    const isOurs = (): boolean => this.#epoch === epoch && !this.#stopped
    try {
      while (this.#wanted && isOurs()) {
        this.#wanted = false
        const { rows, isAll } = await this.#next()
        if (rows.length > 0) {
          if (!isAll) this.#wanted = true
          if (!isOurs()) break
          const { records, given } = toRecords(rows, this.#numbers)
          await this.#log.append(this.#service, records)
          if (!isOurs()) break
          this.#note(rows, given)
        }
        this.#failures = 0
        this.#endTrouble() // also with nothing to hand on: what stood in the way does so no more
      }
    } catch (error) {
      // What befell an earlier lease says nothing of this one.
      if (this.#epoch === epoch) await this.#failed(AtollError.from(error))
    }
  }

  /**
   * The events that follow what is in the log: those that were handed over, if the next one is among them; else from
   * the outbox.
   */
  async #next(): Promise<{
    readonly rows: readonly OutboxEvent[]
    /** Nothing that is known of is behind them. */ readonly isAll: boolean
  }> {
    const offered = this.#offers.following(this.#relayedSeq, this.#options.relayBatchMax)
    if (offered.rows.length > 0) return offered
    this.#offers.clear() // what is in it comes after a hole, and will be read with what is in the hole
    const rows = await readOutbox(this.#store.reader, this.#relayedSeq, this.#epoch ?? 0, this.#options.relayBatchMax)
    return { rows, isAll: false }
  }

  #note(rows: readonly OutboxEvent[], given: ReadonlyMap<number, number>): void {
    for (const [partition, number] of given) this.#numbers.set(partition, number)
    for (const { seq } of rows) this.#offers.delete(seq)
    this.#untidy.note(rows, given)
    this.#relayedSeq = rows[rows.length - 1]!.seq
    this.#tidyLater()
  }

  #tidyLater(): void {
    if (this.#stopped) return
    this.#tidyTimer ??= this.#host.after(this.#options.relayTidyMs, () => {
      this.#tidyTimer = undefined
      const epoch = this.#epoch
      this.#tidy().catch((error: unknown) => {
        if (this.#epoch !== epoch) return
        if (AtollError.from(error).code === 'FENCED') return this.#lose()
        this.#faults.warn({ service: this.#service, error }, 'could not tidy the outbox; will try again')
        this.#tidyLater()
      })
    })
  }

  /**
   * Deletes from the outbox what the log has. One at a time: rows must not go before the numbers that they were given
   * are noted.
   */
  async #tidy(): Promise<void> {
    while (this.#tidying) await this.#tidying.catch(() => undefined) // whoever began it hears of it
    this.#tidying = this.#tidyNow().finally(() => (this.#tidying = undefined))
    return this.#tidying
  }

  /** Deletes rows and notes numbers in one transaction. */
  async #tidyNow(): Promise<void> {
    const epoch = this.#epoch
    if (this.#untidy.isEmpty || epoch === undefined) return
    await this.#untidy.commit(this.#store, this.#service, epoch, this.#relayedSeq, () => this.#epoch === epoch)
  }

  /** The lease is somebody else's, and so is what stands in the way; the next look at it may bring it back. */
  #lose(): void {
    this.#epoch = undefined
    this.#endTrouble()
    this.#untidy.clear()
    this.#tidyTimer?.cancel()
    this.#tidyTimer = undefined
  }

  /** Whether the lease is still ours, as the store says. One that cannot be asked is no reason to halt. */
  async #isFenced(): Promise<boolean> {
    const epoch = this.#epoch
    if (epoch === undefined) return true
    return (await relayEpoch(this.#store.reader).catch(() => undefined)) !== epoch
  }

  #endTrouble(): void {
    this.#trouble = undefined
    this.#troubledSinceMs = Infinity
  }

  #halt(error: AtollError): void {
    this.#halted = error
    this.#wanted = false
    this.#logger.error(
      { service: this.#service, error },
      `ALARM: the relay is halted, because ${error.code === 'STORE_OUTDATED' ? 'its store is older than the log' : 'the log will not take what comes next'}`,
    )
    this.#tell.halted()
  }

  async #failed(error: AtollError): Promise<void> {
    if (this.#stopped) return
    if (final.has(error.code)) {
      if (await this.#isFenced()) return this.#lose()
      return this.#halt(error)
    }
    this.#failures++
    this.#trouble = error
    this.#troubledSinceMs = Math.min(this.#troubledSinceMs, this.#host.monotonicMs())
    this.#wanted = false
    // when the log is back, nobody tells
    const delayMs = Math.min(this.#options.retryDelayMs * 2 ** (this.#failures - 1), this.#options.lookMs)
    this.#faults.warn(
      { service: this.#service, error, delayMs },
      'could not hand events to the log; they stay in the outbox and go out later',
    )
    this.#retryTimer = this.#host.after(delayMs, () => {
      this.#retryTimer = undefined
      this.wake()
      for (const resolve of this.#onRetry.splice(0)) resolve()
    })
  }
}

import { AtollError, type Timer } from '@atoll/host'
import { endsWithin } from '../deadline.ts'
import { createFaultLogger } from '../faults.ts'
import type { RedriveOutcome } from '../admin.ts'
import { toProblem } from '../problem.ts'
import type { Problem } from '../running.ts'
import { Bystander } from './bystander.ts'
import { Elsewhere } from './elsewhere.ts'
import type { DiscardNote, HeldPlace } from './discarded.ts'
import type { SubscriptionGround } from './ground.ts'
import { Leases } from '../leases.ts'
import { all } from '../steps.ts'
import { PartitionReader } from './partition-reader.ts'

/**
 * A named reader of the log, as far as this instance takes part in it: it holds leases on partitions, and has a reader
 * for each.
 */
export class Subscription {
  readonly ground: SubscriptionGround
  readonly #leases: Leases
  readonly #readers = new Map<number, PartitionReader>()
  readonly #elsewhere: Elsewhere
  readonly #bystander: Bystander
  readonly #sources: readonly string[]
  #unwatch: (() => void)[] = []
  #leaseTimer: Timer | undefined
  #lookTimer: Timer | undefined
  #reopenTimer: Timer | undefined
  #failures = 0
  #isShared = false
  /**
   * Why partitions are halted, as far as that has not been said yet: what comes within a moment is said in one line.
   */
  readonly #alarms = new Map<number, AtollError>()
  #alarmTimer: Timer | undefined
  /** What keeps partitions from being read, and the leases from being renewed; each until that is known to be over. */
  readonly #troubles = new Map<number | 'leases', AtollError>()
  readonly #faults: ReturnType<typeof createFaultLogger>
  #renewing: Promise<void> | undefined
  /** The renewal under way has taken no lease yet: it asks the log first. */
  #isAskingLog = false
  /** Partitions above our share, whose readers end what is in hand; their leases are renewed until then. */
  readonly #handingOver = new Map<number, Promise<void>>()
  #state: 'stopped' | 'running' | 'stopping' = 'stopped'

  constructor(ground: SubscriptionGround) {
    this.ground = ground
    this.#faults = createFaultLogger(ground.logger, ground.host)
    this.#leases = new Leases(ground.store, ground.name, ground.host, ground.options, { countsEnds: true })
    this.#elsewhere = new Elsewhere(ground.name, ground.store.reader, ground.host, ground.options)
    this.#bystander = new Bystander(ground)
    this.#sources = [...new Set(ground.events.map((event) => event.source))]
  }

  /** Takes its leases and begins to read. Does nothing if it runs. */
  async start(): Promise<void> {
    if (this.#state === 'running') return
    this.#state = 'running'
    this.#troubles.clear() // of an earlier run
    this.#unwatch = this.#sources.map((source) =>
      this.ground.log.watch(source, (partition) => this.#readers.get(partition)?.wake(source)),
    )
    await this.#renewLeases()
    if (this.#state !== 'running') return // it was stopped meanwhile
    this.#armLook()
    await this.#looked()
  }

  /** Waits until all partitions were held against the log, or for a lease: a log that does not answer says nothing. */
  async #looked(): Promise<void> {
    const looks = [...this.#readers.values()].map((reader) => reader.looked)
    if (this.#readers.size < this.ground.options.partitions) looks.push(this.#standBy())
    await endsWithin(this.ground.host, this.ground.options.leaseMs, Promise.all(looks))
    this.#raiseAlarms()
  }

  #standBy(): Promise<void> {
    return this.#bystander.look((partition) => this.#readers.has(partition))
  }

  /**
   * Lets events that are in hand end, for `drainMs` at the most, then gives up its leases. Those that are still in hand
   * then are fenced, and the next owner handles them again.
   */
  async stop(drainMs: number): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    for (const timer of [this.#leaseTimer, this.#lookTimer, this.#reopenTimer]) timer?.cancel()
    for (const unwatch of this.#unwatch) unwatch()
    this.#raiseAlarms()
    // one that goes on sees that this has stopped, and gives back what it takes
    const renewed = this.#isAskingLog ? undefined : this.#renewing
    const drained = all([
      renewed,
      ...this.#handingOver.values(),
      ...[...this.#readers.values()].map((reader) => reader.stop()),
    ]).catch((error: unknown) => {
      this.ground.logger.warn(
        { subscription: this.ground.name, error },
        'a partition could not be put away; it is read from what is committed',
      )
    })
    if (!(await endsWithin(this.ground.host, drainMs, drained))) {
      this.ground.logger.warn(
        { subscription: this.ground.name, drainMs },
        'events were still in hand when the time to drain ran out; they will be handled again',
      )
    }
    await this.#leases.leave(this.#held()).catch((error: unknown) => {
      this.ground.logger.warn(
        { subscription: this.ground.name, error },
        'could not give up leases; they run out by themselves',
      )
    })
    for (const partition of [...this.#readers.keys()]) this.#forget(partition)
    this.ground.reports.end()
    this.#state = 'stopped'
  }

  /** The partitions that this instance owns. */
  get partitions(): ReadonlyMap<number, PartitionReader> {
    return this.#readers
  }

  /**
   * Whether a partition of a source has handled everything up to an order token; of one that is not read here, as the
   * store last said.
   */
  hasReached(source: string, partition: number, order: string): boolean {
    if (!this.#sources.includes(source)) return true
    return (
      this.#readers.get(partition)?.hasReached(source, order) ?? this.#elsewhere.hasReached(source, partition, order)
    )
  }

  /** Whether an event of a partition may be held; of one that is not read here, nobody here knows. */
  mayHold(partition: number): boolean {
    return this.#readers.get(partition)?.holds ?? true
  }

  /**
   * Calls `resolve` when a partition of a source may have reached an order token, to look again; returns what takes
   * that back.
   */
  whenReached(source: string, partition: number, order: string, resolve: () => void): () => void {
    const cursor = this.#readers.get(partition)?.cursor(source)
    return cursor ? cursor.whenReached(order, resolve) : this.#elsewhere.whenAsked(resolve)
  }

  /** Why one of its partitions is halted, if records are missing from the log, or others are there. */
  get gap(): AtollError | undefined {
    for (const reader of this.#readers.values()) if (reader.gap) return reader.gap
    return undefined
  }

  /** What keeps it from reading. */
  get problems(): Problem[] {
    const { name } = this.ground
    const problems: Problem[] = []
    if (this.#state !== 'running') problems.push(toProblem(`${name} does not read: it is ${this.#state}`))
    for (const trouble of this.#troubles.values()) problems.push(toProblem(`${name} cannot go on`, trouble))
    for (const reader of this.#readers.values()) {
      if (reader.gap) problems.push(toProblem(`${name} is halted`, reader.gap))
      else if (!reader.isProven)
        problems.push(toProblem(`${name} has not yet seen whether the log has what it has read so far`))
    }
    if (this.#bystander.gap) problems.push(toProblem(`${name} is halted`, this.#bystander.gap))
    // many partitions may have the same
    return [...new Map(problems.map((problem) => [problem.reason, problem])).values()]
  }

  /** Whether everything that is in the log, as far as known here, is handled or held, and nothing is in hand. */
  get idle(): boolean {
    for (const reader of this.#readers.values()) if (!reader.idle) return false
    return !this.#reopenTimer && !this.#renewing
  }

  /**
   * Redrives a dead letter, and what is parked behind it; reports nothing if it is not there any more. UNAVAILABLE if
   * another instance owns its partition.
   */
  async redrive(place: HeldPlace, dryRun: boolean, report: (outcome: RedriveOutcome) => void): Promise<void> {
    await this.#reader(place.partition).redrive(place, dryRun, report)
  }

  /** Discards a dead letter. UNAVAILABLE if another instance owns its partition, COMMAND_USAGE if it is not dead. */
  async discard(place: HeldPlace, note: DiscardNote): Promise<void> {
    await this.#reader(place.partition).discard(place, note)
  }

  #reader(partition: number): PartitionReader {
    const reader = this.#readers.get(partition)
    if (!reader?.isOpen)
      throw new AtollError(
        'UNAVAILABLE',
        `partition ${partition} of ${this.ground.name} is not read by this instance now; try again`,
      )
    return reader
  }

  /** Looks for news in the log that nobody told of. */
  wake(): void {
    for (const reader of this.#readers.values()) for (const source of this.#sources) reader.wake(source)
  }

  #held(): Map<number, number> {
    return new Map([...this.#readers].map(([partition, reader]) => [partition, reader.epoch]))
  }

  #renewLeases(): Promise<void> {
    return (this.#renewing ??= this.#renewLeasesNow())
  }

  async #renewLeasesNow(): Promise<void> {
    this.#leaseTimer?.cancel()
    try {
      await this.#takeLeases()
    } catch (error) {
      this.#failed('leases', error)
    } finally {
      this.#renewing = undefined // in one with what follows: a start finds a renewal that goes on, or none
    }
    if (this.#state !== 'running') return
    this.#leaseTimer = this.ground.host.after(this.ground.options.leaseMs / 3, () => void this.#renewLeases())
  }

  async #takeLeases(): Promise<void> {
    // An instance that cannot reach the log lets its leases run out: others may reach it.
    if (this.#readers.size === 0) await this.#askLog()
    if (this.#state !== 'running') return
    const changes = await this.#leases.look(this.#held())
    if (this.#state !== 'running') return this.#leases.leave(changes.taken)
    this.#isShared = changes.isShared
    for (const partition of changes.lost) this.#drop(partition)
    for (const partition of changes.surplus) this.#handOver(partition)
    await Promise.all([...changes.taken].map(([partition, epoch]) => this.#open(partition, epoch)))
    this.#over('leases')
    // A partition that another instance has taken over is no trouble of ours.
    for (const at of this.#troubles.keys())
      if (at !== 'leases' && !this.#readers.has(at) && !changes.taken.has(at)) this.#over(at)
  }

  async #askLog(): Promise<void> {
    this.#isAskingLog = true
    try {
      for (const source of this.#sources) await this.ground.log.tail(source, 0)
    } finally {
      this.#isAskingLog = false
    }
  }

  async #open(partition: number, epoch: number): Promise<void> {
    const reader = new PartitionReader(this.ground, partition, epoch, {
      failed: (error) => {
        if (this.#readers.get(partition) !== reader) return
        this.#drop(partition)
        this.#failed(partition, error)
      },
      halted: (gap) => {
        this.#over(partition)
        this.#noteAlarm(partition, gap)
      },
      works: () => this.#over(partition),
    })
    this.#readers.set(partition, reader)
    try {
      await reader.open()
    } catch (error) {
      this.#drop(partition)
      throw error
    }
  }

  /**
   * Gives up a reader whose lease is lost or whose store failed. Its epoch is past, so what it still does is fenced.
   */
  #drop(partition: number): void {
    this.#forget(partition)
      ?.stop()
      .catch((error: unknown) => {
        this.ground.logger.warn(
          { subscription: this.ground.name, partition, error },
          'a partition that was given up could not be put away; it is read from what is committed',
        )
      })
  }

  #forget(partition: number): PartitionReader | undefined {
    const reader = this.#readers.get(partition)
    this.#readers.delete(partition)
    reader?.release()
    return reader
  }

  /**
   * Gives a partition to an instance that has fewer. Nobody waits for that: a handler may take its time, and meanwhile
   * the leases must be renewed.
   */
  #handOver(partition: number): void {
    const reader = this.#readers.get(partition)
    if (!reader || this.#handingOver.has(partition)) return
    const handedOver = reader
      .stop()
      // it has stopped all the same, and must not keep its lease
      .catch((error: unknown) => this.#failed(partition, error))
      .then(async () => {
        if (this.#readers.get(partition) !== reader) return
        this.#forget(partition)
        await this.#leases.release(partition, reader.epoch)
      })
      .catch((error: unknown) => this.#failed(partition, error))
      .finally(() => this.#handingOver.delete(partition))
    this.#handingOver.set(partition, handedOver)
  }

  /** Many partitions may be halted for one reason, each a moment after the other. */
  #noteAlarm(partition: number, gap: AtollError): void {
    if (this.#readers.get(partition)?.gap?.message === gap.message) return // it was said when it was halted first
    this.#alarms.set(partition, gap)
    this.#alarmTimer ??= this.ground.host.after(ALARM_MS, () => this.#raiseAlarms())
  }

  /** One line for all partitions that are halted for the same kind of reason, with the first of these. */
  #raiseAlarms(): void {
    this.#alarmTimer?.cancel()
    this.#alarmTimer = undefined
    for (const [code, alarms] of Map.groupBy(this.#alarms, ([, gap]) => gap.code)) {
      const partitions = alarms.map(([partition]) => partition).sort((a, b) => a - b)
      const what =
        code === 'LOG_GAP' ? 'events are missing from the log' : 'the log has other events than those that were read'
      this.ground.logger.error(
        { subscription: this.ground.name, partitions, error: alarms[0]![1] },
        `ALARM: ${what}; ${partitions.length === 1 ? 'this partition is halted' : `these ${partitions.length} partitions are halted`}`,
      ) // a group has one at least
    }
    this.#alarms.clear()
  }

  /** One trouble is over, and no other: renewed leases say nothing of a reader, nor a reader of the leases. */
  #over(what: number | 'leases'): void {
    this.#troubles.delete(what)
    if (this.#troubles.size === 0) this.#failures = 0
  }

  /** Tries again later, with growing delays. */
  #failed(what: number | 'leases', error: unknown): void {
    if (this.#state !== 'running') return
    const failure = AtollError.from(error)
    if (failure.code !== 'FENCED') {
      this.#troubles.set(what, failure)
      this.#faults.error({ subscription: this.ground.name, error: failure }, 'could not read or commit; will try again')
    }
    if (this.#reopenTimer) return
    const { retryDelayMs, retryDelayMsMax } = this.ground.options
    const delayMs = Math.min(retryDelayMs * 2 ** this.#failures++, retryDelayMsMax)
    this.#reopenTimer = this.ground.host.after(delayMs, () => {
      this.#reopenTimer = undefined
      void this.#renewLeases()
    })
  }

  #armLook(): void {
    this.#lookTimer = this.ground.host.after(this.ground.options.lookMs, () => {
      if (this.#state !== 'running') return
      this.wake()
      if (this.#bystander.gap) void this.#standBy()
      // Other instances know what is read here by what the store says.
      if (this.#isShared) for (const reader of this.#readers.values()) reader.settle()
      this.#armLook()
    })
  }
}

/** How long an alarm waits for others of its kind, milliseconds. */
const ALARM_MS = 250

import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import type { RedriveOutcome } from '../admin.ts'
import { isOfNoRoom, isStoresDoing, noFailedWork } from '../handling/blame.ts'
import { Attempts, delayMsMax } from './attempts.ts'
import { applyBatch, applyWithCaution, type Batch } from './batch.ts'
import { Caution, processEnded, type Care } from './caution.ts'
import { CursorBook } from './cursor-book.ts'
import type { Cursor } from './cursor.ts'
import { discardHeld, type DiscardNote, type HeldPlace } from './discarded.ts'
import { StoreFailure, type SubscriptionGround } from './ground.ts'
import { HeldEvents, parked, type HeldReason } from './held.ts'
import { Lanes } from './lanes.ts'
import { StreamReader } from './stream-reader.ts'
import { Retries } from './retries.ts'

/** What a reader tells its subscription. */
export interface ReaderEvents {
  /** The store or the log failed: it has given up, and another reader is to take its place. */
  failed(error: unknown): void
  /**
   * Events are missing, or the log is of another history: it is halted, and looks again now and then if it has not been
   * read from yet.
   */
  halted(gap: AtollError): void
  /** It does what it should: every source was read, and what came of it was committed. Told once. */
  works(): void
}

/**
 * Reads one partition of a subscription under its lease and has its events handled: one key after the other in order,
 * different keys side by side (or, for projections, a batch at a time). If the store fails it gives up as a whole; the
 * subscription then opens a new reader, which starts from what is committed.
 */
export class PartitionReader {
  readonly partition: number
  readonly epoch: number
  readonly #ground: SubscriptionGround
  readonly #book: CursorBook
  readonly #held: HeldEvents
  readonly #caution: Caution
  readonly #attempts: Attempts
  /** Of the events that come. */
  readonly #lanes: Lanes
  readonly #retries: Retries
  readonly #tell: ReaderEvents
  readonly #stream: StreamReader
  readonly #dirty = new Set<Cursor>()
  #running: Promise<void> | undefined
  #isOpen = false
  #stopping = false
  #failed = false
  /**
   * Sources that have not been read yet. Once there are none, and a commit has lasted or nothing is left to do, it
   * works.
   */
  readonly #unread = new Set<string>()
  #works = false
  #gap: AtollError | undefined
  /** Whether what it met in this run of reading halts it. */
  #isHalted = false
  #looked = Promise.withResolvers<void>()

  constructor(ground: SubscriptionGround, partition: number, epoch: number, tell: ReaderEvents) {
    this.#ground = ground
    this.partition = partition
    this.epoch = epoch
    this.#tell = tell
    this.#stream = new StreamReader(ground, partition, (gap) => this.#halt(gap))
    this.#book = new CursorBook(ground.name, partition, epoch)
    this.#held = new HeldEvents(ground.name, partition, ground.host, delayMsMax(ground.options))
    this.#caution = new Caution(ground, partition)
    this.#attempts = new Attempts(ground, this.#book, this.#held, this.#caution)
    this.#lanes = new Lanes(ground.batched ? 1 : ground.options.handlingsInFlightMax, (error) => this.#fail(error))
    this.#retries = new Retries(
      ground,
      this.#held,
      (key) => this.#drive(() => this.#attempts.drive(key, () => this.#isOver)),
      (error) => this.#fail(error),
    )
  }

  /** Reads cursors and held events, and begins. */
  async open(): Promise<void> {
    const { store, events } = this.#ground
    const counted = await store.write(
      async (tx) => {
        const [, , cutOff] = await Promise.all([
          this.#book.check(tx),
          this.#book.open(tx, events),
          this.#caution.open(tx),
        ])
        return this.#attempts.countCutOff(tx, cutOff)
      },
      { urgent: true },
    ) // the leases are not renewed before it is open
    for (const event of counted) this.#caution.tried(event)
    await this.#held.load(store.reader)
    await this.#book.load(store.reader, events)
    this.#isOpen = true
    this.#caution.begin(this.#book.cursors)
    for (const cursor of this.#book.cursors) {
      this.#dirty.add(cursor)
      this.#unread.add(cursor.source)
    }
    this.#retries.look()
    if (this.isProven) this.#looked.resolve()
    this.#pump()
  }

  /**
   * Whether it knows where it stands and what is held. Before that nothing may be read: what comes would overtake what
   * is held of its key.
   */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the log was seen to have the records that its cursors stand at. */
  get isProven(): boolean {
    return this.#book.isProven
  }

  /** Resolves once it {@link isProven}, or what keeps it from that is known. */
  get looked(): Promise<void> {
    return this.#looked.promise
  }

  /** There may be news from a source. */
  wake(source: string): void {
    for (const cursor of this.#book.cursors) if (cursor.source === source) this.#dirty.add(cursor)
    this.#pump()
  }

  /** The cursor of a source; undefined if the subscription does not read it. */
  cursor(source: string): Cursor | undefined {
    return this.#book.cursors.find((cursor) => cursor.source === source && cursor.type === '')
  }

  /** Whether everything of a source up to an order token is handled; or held for good, as a dead letter is. */
  hasReached(source: string, order: string): boolean {
    return (this.cursor(source)?.hasReached(order) ?? false) && !this.#held.isAwaited(source, order)
  }

  /** Whether any event may be held. */
  get holds(): boolean {
    return !this.#isOpen || !this.#held.isEmpty
  }

  /** Why it is halted, if records are missing or others than those that were read. */
  get gap(): AtollError | undefined {
    return this.#gap
  }

  /** Whether nothing is in hand and nothing known is unread. */
  get idle(): boolean {
    return !this.#running && this.#dirty.size === 0 && this.#lanes.idle && this.#retries.idle
  }

  /**
   * Redrives a dead letter, and what is parked behind it; dry or for good. Reports nothing if it is not there.
   * UNAVAILABLE if the store failed.
   */
  redrive(place: HeldPlace, dryRun: boolean, report: (outcome: RedriveOutcome) => void): Promise<void> {
    return this.#asAsked(place, () =>
      dryRun
        ? this.#attempts.driveDry(place, report)
        : this.#attempts.drive(place.key, () => this.#isOver, { place, report }),
    )
  }

  /** Discards a dead letter. COMMAND_USAGE if it is none; UNAVAILABLE if the store failed. */
  discard(place: HeldPlace, note: DiscardNote): Promise<void> {
    return this.#asAsked(place, async () => {
      const event = await this.#ground.store.write(async (tx) => {
        await this.#book.check(tx)
        return discardHeld(tx, this.#held, this.#ground.name, place, note)
      })
      this.#held.forget(event)
      this.#caution.tried(event)
    })
  }

  /** Works on a held event for somebody who waits; rejects if that could not be done. */
  async #asAsked({ key }: HeldPlace, work: () => Promise<void>): Promise<void> {
    let refusal: unknown = new AtollError(
      'UNAVAILABLE',
      `partition ${this.partition} of ${this.#ground.name} was given up meanwhile; try again`,
    )
    await this.#retries.run(key, () =>
      this.#drive(async () => {
        try {
          if (this.#isOver) return
          await work()
          refusal = undefined
        } catch (error) {
          refusal = error instanceof StoreFailure ? error.cause : error
          if (AtollError.from(refusal).code !== 'COMMAND_USAGE') throw new StoreFailure(refusal)
        }
      }),
    )
    if (refusal !== undefined) throw refusal
  }

  /**
   * Writes cursors that have moved over records of no concern, for those who ask the store; other records write theirs
   * with their effect. Only while nothing is in hand: after a commit that failed, memory may be ahead of the store
   * until its handler has ended.
   */
  settle(): void {
    const isSure = (): boolean => this.#lanes.idle && !this.#stopping && !this.#failed
    if (!isSure() || !this.#book.cursors.some((cursor) => cursor.moved)) return
    const settled = this.#ground.store.write(async (tx) => {
      if (isSure()) await this.#book.settle(tx)
    })
    settled.catch((error: unknown) => {
      if (!isOfNoRoom(error)) this.#fail(error) // a store that is full is asked again at the next look
    })
  }

  /** Lets events that are in hand end, notes where it stands, and stops. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#looked.resolve()
    this.#retries.stop()
    await this.#running
    await this.#lanes.drained()
    await this.#retries.drained()
    if (this.#failed || !this.#book.cursors.some((cursor) => cursor.moved)) return
    await this.#ground.store
      .write((tx) => this.#book.settle(tx))
      .catch((error: unknown) => {
        if (!isStoresDoing(error, noFailedWork)) throw error // what was skipped is read again, no more
      })
  }

  #pump(): void {
    if (!this.#isOpen || this.#running || this.#stopping || this.#failed) return
    if (this.#gap) {
      if (this.isProven) return
      this.#looked = Promise.withResolvers() // it looks again, and the last answer is out of date
    }
    this.#isHalted = false
    this.#running = this.#read()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running = undefined
        if (this.#dirty.size > 0 && !this.#isHalted) this.#pump()
      })
  }

  async #read(): Promise<void> {
    if (!this.isProven && !(await this.#proveHistory())) return
    while (!this.#stopping && !this.#failed && !this.#isHalted) {
      const cursor = this.#nextDirty()
      if (!cursor) {
        if (this.#lanes.idle) this.#tellIfItWorks()
        return
      }
      this.#dirty.delete(cursor)
      const records = await this.#stream.next(cursor)
      this.#unread.delete(cursor.source)
      if (records.length === 0) continue
      this.#dirty.add(cursor)
      if (this.#ground.batched) await this.#lanes.run(null, () => this.#applyBatch(cursor, records))
      else await this.#dispatch(cursor, records)
      if (cursor.done) this.wake(cursor.source)
    }
  }

  /** Whether the log was seen to be the one that was read so far. */
  async #proveHistory(): Promise<boolean> {
    await this.#stream.prove(this.#book.cursors)
    if (!this.isProven) return false
    if (this.#gap)
      this.#ground.logger.info(
        { subscription: this.#ground.name, partition: this.partition },
        'this partition goes on: the log has what was read of it so far',
      )
    this.#gap = undefined
    this.#looked.resolve()
    return true
  }

  #halt(gap: AtollError): void {
    this.#isHalted = true
    this.#tell.halted(gap)
    this.#gap = gap
    this.#looked.resolve()
  }

  #tellIfItWorks(): void {
    if (this.#caution.isOn) this.#relax()
    if (this.#works || this.#failed || this.#unread.size > 0) return
    this.#works = true
    this.#tell.works()
  }

  /** Backfills of a source go before its own cursor, so that a late event's past comes before its present. */
  #nextDirty(): Cursor | undefined {
    const inTheWay = new Set<string>()
    for (const cursor of this.#book.cursors) {
      if (cursor.done) this.#dirty.delete(cursor)
      else if (inTheWay.has(cursor.source)) continue
      else if (this.#dirty.has(cursor)) return cursor
      else inTheWay.add(cursor.source)
    }
    return undefined
  }

  /**
   * Whether a record is for this cursor to have handled. The past of a late event is its backfill's affair, also beyond
   * the cursor.
   */
  #concerns(cursor: Cursor, record: StoredRecord): boolean {
    if (cursor.type !== '') return cursor.type === record.type
    return (
      this.#ground.subscribers.has(record.type) &&
      record.number > this.#book.backfilledUntil(cursor.source, record.type)
    )
  }

  async #applyBatch(cursor: Cursor, records: readonly StoredRecord[]): Promise<void> {
    const fresh = this.#stream.admit(cursor, records)
    const batch: Batch = {
      ground: this.#ground,
      book: this.#book,
      held: this.#held,
      attempts: this.#attempts,
      caution: this.#caution,
      cursor,
      records: fresh,
      concerns: (record) => this.#concerns(cursor, record),
    }
    if (this.#caution.isOn) await applyWithCaution(batch, () => this.#isOver)
    else await applyBatch(batch)
    this.#book.announce(cursor)
    this.#tellIfItWorks()
    this.#retries.look()
  }

  /** Tells those who wait for its cursors to look elsewhere: these will not move any more. */
  release(): void {
    for (const cursor of this.#book.cursors) cursor.release()
  }

  async #dispatch(cursor: Cursor, records: readonly StoredRecord[]): Promise<void> {
    const admitted = this.#stream.admit(cursor, records)
    let cares: ReadonlyMap<StoredRecord, Care> = new Map()
    for (const [index, record] of admitted.entries()) {
      if (this.#stopping || this.#failed) return
      if (!this.#concerns(cursor, record)) {
        cursor.pass(record)
        this.#book.announce(cursor)
        continue
      }
      await this.#lanes.room()
      while (record.number - cursor.number > this.#ground.options.readAheadMax && !this.#lanes.idle)
        await this.#lanes.oneDone()
      if (this.#stopping || this.#failed) return
      if (this.#caution.isOn && !cares.has(record)) {
        const toCome = admitted.slice(index).filter((one) => this.#concerns(cursor, one))
        cares = await this.#attempts.prepare(cursor, toCome)
      }
      const care = cares.get(record)
      const handling = this.#lanes.run(record.key, () => this.#handle(cursor, record, care))
      if (care === 'alone') await handling
    }
    if (cursor.type !== '') await this.#lanes.drained()
  }

  async #handle(cursor: Cursor, record: StoredRecord, care: Care): Promise<void> {
    // the store failed for one before it, perhaps of its key: that one goes first, in the next reader
    if (this.#failed) return
    if (this.#held.has(record.key)) await this.#hold(cursor, record, parked)
    else {
      try {
        if (this.#caution.isOn && this.#caution.wasCutOff(record)) throw processEnded(record)
        if (care === 'alone')
          await this.#attempts.alone(
            record,
            1,
            () => this.#isOver,
            () => this.#try(cursor, record, care),
          )
        else {
          if (care === 'noted') await this.#attempts.note([record])
          await this.#try(cursor, record)
        }
      } catch (error) {
        if (error instanceof StoreFailure) throw error
        await this.#hold(cursor, record, this.#attempts.verdict(1, error))
      }
    }
    this.#book.announce(cursor)
    this.#tellIfItWorks()
  }

  #try(cursor: Cursor, record: StoredRecord, mode: 'live' | 'alone' = 'live'): Promise<void> {
    const subscriber = this.#ground.subscribers.get(record.type)! // #concerns has said that there is one
    if (!this.#caution.isOn)
      return this.#attempts.run(subscriber, record, (tx) => this.#book.mark(tx, cursor, record, record.type))
    return this.#attempts
      .run(
        subscriber,
        record,
        (tx) => {
          this.#book.mark(tx, cursor, record, record.type)
          return this.#caution.settle(tx, record)
        },
        mode,
      )
      .then(() => this.#caution.settled(record))
  }

  async #hold(cursor: Cursor, record: StoredRecord, wanted: HeldReason): Promise<void> {
    let commit: object | undefined
    let reason: HeldReason
    try {
      reason = await this.#ground.store.write(async (tx) => {
        commit = tx.commit
        await this.#book.check(tx)
        const held = await this.#attempts.hold(tx, record, wanted)
        this.#book.mark(tx, cursor, record)
        return held
      })
    } catch (error) {
      throw new StoreFailure(error)
    }
    this.#held.note(record, reason) // before anybody hears that the cursor has passed it
    if (this.#caution.isOn) this.#caution.settled(record)
    this.#book.confirm(commit)
    this.#retries.look()
  }

  /**
   * Works on held events, unless this reader has failed; then tells those who wait for cursors, because they wait for
   * held events as well.
   */
  async #drive(work: () => Promise<void>): Promise<void> {
    if (this.#failed) return
    try {
      await work()
    } finally {
      for (const cursor of this.#book.cursors) this.#book.announce(cursor)
    }
  }

  get #isOver(): boolean {
    return this.#stopping || this.#failed
  }

  /** Ends the caution once all that may have been in hand is settled. */
  #relax(): void {
    if (!this.#caution.mayEnd(this.#dirty.size === 0 && this.#unread.size === 0 && this.#lanes.idle)) return
    this.#caution.end(this.#book).catch((error: unknown) => {
      if (!isOfNoRoom(error)) this.#fail(error) // a store that is full is asked again
    })
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#looked.resolve()
    this.#retries.stop()
    this.#tell.failed(error instanceof StoreFailure ? error.cause : error)
  }
}

import { AtollError, isSoundError, type ErrorCode } from '@atoll/host'
import type { Queries, Transaction, WriteOptions } from '@atoll/store/driver'
import { assertExecuted, forgetUnexecuted, kyselyFor } from '@atoll/store'
import type { Subscriber } from '../../service/subscriber.ts'
import { openEnvelope, type Envelope } from '../handling/envelope.ts'
import type { TransactionFrame } from '../handling/transact.ts'
import { handleEvent } from './event-handling.ts'
import { Applying } from '../handling/attribution.ts'
import { isStoresDoing, noFailedWork } from '../handling/blame.ts'
import type { RedriveOutcome } from '../admin.ts'
import type { RuntimeOptions } from '../options.ts'
import { AMONG_OTHERS, processEnded, type Care, type Caution, type CutOffTry, type EventPlace } from './caution.ts'
import type { CursorBook } from './cursor-book.ts'
import type { Cursor } from './cursor.ts'
import type { HeldPlace } from './discarded.ts'
import { StoreFailure, type SubscriptionGround } from './ground.ts'
import type { HeldEvent, HeldEvents, HeldReason } from './held.ts'
import { StatementFailure } from './statement-failures.ts'

/**
 * Tries events one at a time and decides what becomes of those that fail: another try later, with growing and jittered
 * delays, or a dead letter. The verdict commits together with what it is about.
 */
export class Attempts {
  readonly #ground: SubscriptionGround
  readonly #book: CursorBook
  readonly #held: HeldEvents

  readonly #caution: Caution

  constructor(ground: SubscriptionGround, book: CursorBook, held: HeldEvents, caution: Caution) {
    this.#ground = ground
    this.#book = book
    this.#held = held
    this.#caution = caution
  }

  /**
   * Handles an event; `settle` goes into the transaction of the effect. Rejects with the handler's error or a
   * StoreFailure. One that is tried alone keeps others waiting, and goes before what waits to be written.
   */
  async run(
    subscriber: Subscriber,
    envelope: Envelope,
    settle: (tx: Transaction) => Promise<void> | void,
    mode: 'live' | 'alone' | 'dry' = 'live',
  ): Promise<void> {
    const { refusals, statementFailures } = this.#ground
    const refusal = mode !== 'dry' && refusals.has(envelope) ? refusals.take(envelope) : undefined
    if (refusal) throw refusal
    let opened: Transaction | undefined
    const guard = (tx: Transaction): Promise<void> | undefined => {
      opened = tx
      return this.#book.check(tx)
    }
    const committed = (): void => this.#book.confirm(opened?.commit)
    try {
      const frame = { guard, settle, committed, urgent: mode === 'alone' }
      if (subscriber.kind === 'handle')
        await handleEvent(this.#ground.handling, subscriber, envelope, frame, mode === 'dry')
      else await this.#apply(subscriber, envelope, frame)
      statementFailures.passed(envelope)
    } catch (error) {
      if (error instanceof StoreFailure && error.isOfStatement && mode !== 'dry')
        throw statementFailures.failed(envelope, error.cause) ?? error
      if (!opened?.refusal || error instanceof StoreFailure) throw error
      // the commit was refused over what the handler wrote: that counts, but this reader cannot note it
      refusals.note([envelope], AtollError.from(error))
      throw new StoreFailure(error)
    }
  }

  /** Applies an event to a projection in a transaction of its own. */
  async #apply(
    subscriber: Subscriber,
    envelope: Envelope,
    { guard, settle, committed, urgent }: Required<Pick<TransactionFrame, 'guard' | 'settle' | 'committed' | 'urgent'>>,
  ): Promise<void> {
    let failed = noFailedWork
    try {
      await this.#ground.store.write(
        async (tx) => {
          await guard(tx)
          await this.project(subscriber, envelope, tx).catch((error: unknown) => {
            const thrown = AtollError.from(error)
            failed = { thrown, storeFailure: tx.storeFailure }
            throw thrown
          })
          await settle(tx)
        },
        { urgent },
      )
      committed()
    } catch (error) {
      throw isStoresDoing(error, failed) ? new StoreFailure(error, failed.storeFailure !== undefined) : error
    }
  }

  /**
   * Has an event tried that may end the process: alone, and noted beforehand. `attempt`: which try of it this is.
   * `work` settles the note with the effect. Does nothing if `isOff` by then.
   */
  alone(event: Envelope, attempt: number, isOff: () => boolean, work: () => Promise<void>): Promise<void> {
    return this.#ground.alone.run(async () => {
      if (isOff()) return
      await this.#commit(
        async (tx) => {
          await this.#book.check(tx)
          await this.#caution.note(tx, [event], attempt)
        },
        { urgent: true },
      )
      await work()
    })
  }

  /**
   * Decides how each of the next events of a cursor is to be tried, up to one that is known by name, or that one alone.
   * The first of each key are noted in one transaction, and need no more care; those behind them are noted when their
   * turn comes, for what was never in hand must not be accused.
   */
  async prepare<Event extends EventPlace & Pick<Envelope, 'key'>>(
    cursor: Cursor,
    events: readonly Event[],
  ): Promise<ReadonlyMap<Event, Care>> {
    const named = events.findIndex((event) => this.#caution.isNamed(event))
    const next = events.slice(0, named < 0 ? events.length : Math.max(named, 1))
    const cares = new Map(next.map((event) => [event, this.#caution.careFor(cursor, event)]))
    const firsts = [...Map.groupBy(next, ({ key }) => key).values()].map(([first]) => first!) // no group is empty
    const noted = firsts.filter((event) => cares.get(event) === 'noted')
    if (noted.length > 0) await this.note(noted)
    for (const event of noted) cares.set(event, undefined)
    return cares
  }

  /** Notes, in a transaction, events that are then tried beside each other. */
  async note(events: readonly EventPlace[]): Promise<void> {
    await this.#commit(async (tx) => {
      await this.#book.check(tx)
      await this.#caution.note(tx, events, AMONG_OTHERS)
    })
  }

  /** Uses up, in `tx`, the tries of held events under which the process before ended. Resolves with those events. */
  async countCutOff(tx: Transaction, tries: readonly CutOffTry[]): Promise<HeldEvent[]> {
    const events: HeldEvent[] = []
    for (const { source, number, attempt } of tries) {
      const event = await this.#held.at(tx, source, number)
      if (!event) continue // it was not held: it is still to come, or was settled after all
      const reason = this.#reasonFor(event, attempt, processEnded(event))
      await this.#caution.settle(tx, event)
      await this.#held.update(tx, event, reason, this.#ground.host.now())
      this.#report(event, reason)
      events.push(event)
    }
    return events
  }

  /** Applies one event to a projection, inside a transaction. */
  async project(subscriber: Subscriber, envelope: Envelope, tx: Queries): Promise<void> {
    const { attribution, name, logger } = this.#ground
    const apply = (): unknown => subscriber.run({ event: openEnvelope(envelope, subscriber.event), db: kyselyFor(tx) })
    try {
      const returned = await (attribution ? new Applying(name, envelope, logger).run(attribution, apply) : apply())
      assertExecuted(tx, returned)
    } catch (error) {
      forgetUnexecuted(tx) // it is not the next event's
      throw error
    }
  }

  /** What becomes of an event after its `attempts`th try failed. */
  verdict(attempts: number, thrown: unknown): HeldReason {
    const { options, host } = this.#ground
    const now = host.now()
    const jitter = 1 + host.random() * JITTER
    // It may be the store's trouble after all, and uses up no try; but others need not wait for it.
    if (thrown instanceof StatementFailure) {
      const delayMs = Math.min(PASSING_DELAY_MS * 2 ** thrown.earlier, options.retryDelayMsMax) * jitter
      return { state: 'retrying', attempts: attempts - 1, dueAt: now + delayMs, error: thrown.failure }
    }
    const error = AtollError.from(thrown)
    // What it called is down or overloaded: that is nobody's fault here, uses up no try, and is worth waiting for.
    if (passing.has(error.code))
      return { state: 'retrying', attempts: attempts - 1, dueAt: now + PASSING_DELAY_MS * jitter, error }
    // No later try of the same code would understand it.
    if (error.code === 'EVENT_UNREADABLE' || attempts >= options.attemptsMax)
      return { state: 'dead', attempts, dueAt: 0, error }
    const delayMs = Math.min(options.retryDelayMs * 2 ** (attempts - 1), options.retryDelayMsMax) * jitter
    return { state: 'retrying', attempts, dueAt: now + delayMs, error }
  }

  /** Holds an event that failed at its first try, or that came behind a held one. Resolves with what became of it. */
  async hold(tx: Transaction, envelope: Envelope, wanted: HeldReason): Promise<HeldReason> {
    const reason = await this.#held.hold(tx, envelope, wanted, this.#ground.host.now())
    if (this.#caution.isOn) await this.#caution.settle(tx, envelope)
    if (reason === wanted) this.#report(envelope, reason)
    return reason
  }

  /**
   * Works through the held events of a key, in order, until one fails or `isOver`. A redrive begins with the dead
   * letter that it names, if that is still there, and hears what becomes of each.
   */
  async drive(
    key: string,
    isOver: () => boolean,
    redrive?: { readonly place: HeldPlace; readonly report: (outcome: RedriveOutcome) => void },
  ): Promise<void> {
    const { reader } = this.#ground.store
    let isBegun = redrive === undefined
    while (!isOver()) {
      const first = await this.#held.first(reader, key)
      if (!first) return
      if (redrive && !isBegun && !isDeadAt(first, redrive.place)) return // what is there now, nobody asked for
      if (isBegun && first.state === 'dead') return
      isBegun = true
      const failure = await this.#retry(first)
      redrive?.report(outcomeOf(this.#ground.name, first, failure))
      if (!failure) continue
      if (redrive)
        for (const waiting of (await this.#held.ofKey(reader, key)).slice(1))
          redrive.report(outcomeOf(this.#ground.name, waiting, 'waiting'))
      return
    }
  }

  /** Tries a dead letter and what is parked behind it once each, with every transaction undone. */
  async driveDry(place: HeldPlace, report: (outcome: RedriveOutcome) => void): Promise<void> {
    const events = await this.#held.ofKey(this.#ground.store.reader, place.key)
    if (!events[0] || !isDeadAt(events[0], place)) return
    for (const event of events) {
      const subscriber = this.#ground.subscribers.get(event.type)
      try {
        if (!subscriber) throw noLongerHandled(event)
        await this.run(
          subscriber,
          event,
          () => {
            throw new Undo()
          },
          'dry',
        )
        report(outcomeOf(this.#ground.name, event, undefined))
      } catch (error) {
        report(outcomeOf(this.#ground.name, event, isUndo(error) ? undefined : AtollError.from(error)))
      }
    }
  }

  async #retry(event: HeldEvent): Promise<AtollError | undefined> {
    const subscriber = this.#ground.subscribers.get(event.type)
    try {
      if (!subscriber) throw noLongerHandled(event)
      const care =
        event.errorCode === 'PROCESS_ENDED' || this.#caution.isOn ? this.#caution.careForHeld(event) : undefined
      const run = (): Promise<void> =>
        this.run(
          subscriber,
          event,
          async (tx) => {
            await this.#held.release(tx, event, this.#ground.host.now())
            if (this.#caution.isOn) await this.#caution.settle(tx, event)
            this.#book.count(tx, event.type)
          },
          care === 'alone' ? 'alone' : 'live',
        )
      if (care === 'noted') await this.note([event])
      await (care === 'alone' ? this.alone(event, event.attempts + 1, () => false, run) : run())
      this.#settled(event)
      this.#held.forget(event)
      return undefined
    } catch (error) {
      if (error instanceof StoreFailure) throw error
      const reason = this.#reasonFor(event, event.attempts + 1, error)
      await this.#commit(async (tx) => {
        await this.#book.check(tx)
        if (this.#caution.isOn) await this.#caution.settle(tx, event)
        await this.#held.update(tx, event, reason, this.#ground.host.now())
      })
      this.#settled(event)
      this.#held.note(event, reason)
      this.#report(event, reason)
      return reason.error
    }
  }

  /** A dead letter that fails again stays one: somebody asked for this try, and nobody for those after it. */
  #reasonFor(event: HeldEvent, attempts: number, error: unknown): HeldReason {
    const verdict = this.verdict(attempts, error)
    return event.state === 'dead' ? { ...verdict, state: 'dead', dueAt: 0 } : verdict
  }

  #settled(event: Envelope): void {
    if (!this.#caution.isOn) return
    this.#caution.settled(event)
    this.#caution.tried(event)
  }

  async #commit(work: (tx: Transaction) => Promise<void>, options?: WriteOptions): Promise<void> {
    try {
      await this.#ground.store.write(work, options)
    } catch (error) {
      throw new StoreFailure(error)
    }
  }

  #report(event: Envelope, reason: HeldReason): void {
    if (reason.state === 'parked') return
    const isNews = reason.state === 'dead' || reason.attempts <= 1
    const fields = {
      subscription: this.#ground.name,
      event: event.id,
      type: event.type,
      key: event.key,
      attempts: reason.attempts,
      trace: event.trace,
      error: isNews ? reason.error : reason.error && inOneLine(reason.error),
    }
    const became =
      reason.state === 'dead'
        ? `is a dead letter of ${this.#ground.name}; later events of its key are parked behind it`
        : `failed in ${this.#ground.name}; it will be tried again`
    this.#ground.reports.tell(reason.state, fields, `${event.type} ${became}`)
  }
}

/** Where it was thrown was said at the first try. */
function inOneLine({ code, reason }: AtollError): AtollError {
  const [line = ''] = reason.split('\n')
  return Object.assign(new AtollError(code, line), { stack: undefined })
}

/** Errors that say of a service that it cannot answer now. */
const passing: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'OVERLOADED', 'BEHIND', 'RATE_LIMITED'])
const PASSING_DELAY_MS = 1_000
/** The most by which a delay is lengthened, so that what failed together is not tried together. */
const JITTER = 1 / 4

/** The longest that an event waits for its next try, milliseconds. */
export function delayMsMax({ retryDelayMsMax }: Pick<RuntimeOptions, 'retryDelayMsMax'>): number {
  return Math.max(retryDelayMsMax, PASSING_DELAY_MS) * (1 + JITTER)
}

/** Thrown to undo a transaction that did all it should. */
class Undo extends Error {}

/** Whether a handler threw it, or anything around it. Causes may go in a circle. */
function isUndo(thrown: unknown): boolean {
  const seen = new Set<unknown>()
  for (let at = thrown; isSoundError(at) && !seen.has(at); at = at.cause) {
    if (at instanceof Undo) return true
    seen.add(at)
  }
  return false
}

function isDeadAt({ state, source, number }: HeldEvent, place: HeldPlace): boolean {
  return state === 'dead' && source === place.source && number === place.number
}

function noLongerHandled(event: Envelope): AtollError {
  return new AtollError('EVENT_UNREADABLE', `nothing here handles ${event.type} any more`)
}

function outcomeOf(
  subscription: string,
  event: HeldEvent,
  failure: AtollError | 'waiting' | undefined,
): RedriveOutcome {
  const outcome = failure === 'waiting' ? 'waiting' : failure ? 'failed' : 'handled'
  return {
    subscription,
    eventId: event.id,
    type: event.type,
    key: event.key,
    was: event.state === 'dead' ? 'dead' : 'parked',
    outcome,
    error: failure instanceof AtollError ? failure.message : undefined,
  }
}

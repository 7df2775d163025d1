import { AtollError, type Host, type LogFields, type Logger } from '@atoll/host'
import { assertExecuted, createKysely } from '@atoll/store'
import type { Reader, Store } from '@atoll/store/driver'
import type { EventDefinition } from '../../contract/event.ts'
import type { z } from 'zod'
import type { BoundOperation } from '../../contract/operation.ts'
import type {
  Call,
  Caller,
  CallOptions,
  CommandContext,
  EventContext,
  ReceivedEvent,
  Transact,
  TransactionContext,
} from '../../service/context.ts'
import { Strays, reportStray, type Attributable, type Attribution } from './attribution.ts'
import { isStoresDoing, noFailedWork } from './blame.ts'
import type { Emission } from '../relay/emission.ts'
import { boundLogger } from './guarded-logger.ts'
import { Ids, type IdSeed } from './ids.ts'
import type { RuntimeOptions } from '../options.ts'
import { Outgoing } from './outgoing.ts'
import { emptyPosition, mergePositions, type Position } from '../position.ts'
import type { Cancellation, Dispatch, Dispatched, MaybeSeen } from '../running.ts'
import { childTrace, newTrace } from './trace.ts'
import { transact, type Progress, type TransactionFrame } from './transact.ts'

/** What the handlings of a service work with. */
export interface HandlingParts {
  readonly host: Host
  readonly logger: Logger
  readonly attribution: Attribution | undefined
  readonly options: RuntimeOptions
  readonly store: Store
  /** What handlers read outside their transactions. */
  readonly generations: { readonly reader: Reader }
  readonly emission: Emission
  /** Takes what handlers call. */
  readonly dispatcher: { dispatch(operation: string, request: Dispatch, asker: 'handler'): Promise<Dispatched> }
}

/** What a handling is about. */
export interface HandlingSubject {
  /** For logs: the operation or `subscription event`. */
  readonly name: string
  readonly requestId: string
  /**
   * The span of whoever asked; this handling is a span of its own below it, with an id if anything comes to need it.
   */
  readonly parentTrace: string | undefined
  /** Id of the event or request that this handles: the cause of what it emits. */
  readonly cause: string
  /** What the ids are derived from that it gives. Without it they are fresh. */
  readonly idSeed: IdSeed | undefined
  readonly deadlineMs: number
  readonly caller: Caller | undefined
  /** A client sent the input. */
  readonly isFromClient?: boolean | undefined
  readonly position: Position
  readonly maybeSeen?: MaybeSeen | undefined
  readonly signal: Cancellation | undefined
  /** What the client made it depend on; the handler judges that. */
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: '*' | undefined
  readonly frame: TransactionFrame
  /** Everything will be undone: what leaves the service is refused. */
  readonly dry?: boolean
}

/**
 * One try of one handler: the context that it sees, and what came of it. Handlers take it apart (`({ input, tx }) =>
 * …`), so what they call is bound, when it is asked for: there are many handlings, and each uses little of this. One
 * class serves commands, queries and events; types give each its view.
 */
export class Handling implements Progress, Attributable {
  readonly #parts: HandlingParts
  readonly #subject: HandlingSubject
  #state: 'ready' | 'in-tx' | 'committed' | 'over' = 'ready'
  #position: Position = emptyPosition
  #abort: AbortController | undefined
  #db: CommandContext<unknown, unknown, 'optional', EventDefinition>['db'] | undefined
  #log: Logger | undefined
  #trace: string | undefined
  #ids: Ids | undefined
  #ended: Promise<void> | undefined
  #strays: Strays | undefined
  /** Whether the handler has looked at the conditions of its request. */
  #sawIfMatch = false
  #sawIfNoneMatch = false
  /** What its transaction failed with, if it did: it may be anything, `undefined` too. */
  #failure: { readonly thrown: unknown } | undefined
  failedWork = noFailedWork
  /** Why it was ended from outside, if it was: its time ran out, also while its transaction waited for its turn. */
  reason: unknown
  /** What the transaction returned, once it committed. */
  result: unknown
  /** Why a transaction was refused that it asked for: whoever did not await it has not heard. */
  refusal: AtollError | undefined
  /** It went on, or what it called did, without all that its caller may have seen. */
  missed = false
  /** The transaction failed by the store's doing, not the handler's. */
  storeFailed = false

  // What the views show besides what is below; set by the runtime, not by handlers.
  input: unknown
  event: ReceivedEvent<unknown> | undefined

  constructor(parts: HandlingParts, subject: HandlingSubject) {
    this.#parts = parts
    this.#subject = subject
  }

  get isFromClient(): boolean {
    return this.#subject.isFromClient === true
  }

  /** Whether its transaction has committed. */
  get committed(): boolean {
    return this.#state === 'committed'
  }

  /** Whether its transaction has begun, and nobody knows yet what becomes of it. */
  get isUnderWay(): boolean {
    return this.#state === 'in-tx'
  }

  /** The position of what was emitted here, and by the operations called from here. */
  get position(): Position {
    return this.#position
  }

  /** Its answer rests on this too. */
  restOn(position: Position): void {
    this.#position = mergePositions(this.#position, position)
  }

  /** The id of what this handles: the cause of what it emits. */
  get cause(): string {
    return this.#subject.cause
  }

  get ifMatch(): string | undefined {
    this.#sawIfMatch = true
    return this.#subject.ifMatch
  }

  get ifNoneMatch(): '*' | undefined {
    this.#sawIfNoneMatch = true
    return this.#subject.ifNoneMatch
  }

  /** Refuses what would be done whatever the condition says that the client made. */
  assertJudged(): void {
    const { name, ifMatch, ifNoneMatch } = this.#subject
    const ignored =
      ifMatch !== undefined && !this.#sawIfMatch
        ? 'If-Match'
        : ifNoneMatch !== undefined && !this.#sawIfNoneMatch
          ? 'If-None-Match'
          : undefined
    if (ignored !== undefined)
      throw new AtollError(
        'PRECONDITION_FAILED',
        `${name} does not go by ${ignored}, and was not carried out; send it without`,
      )
  }

  get caller(): Caller | undefined {
    return this.#subject.caller
  }

  get db(): CommandContext<unknown, unknown, 'optional', EventDefinition>['db'] {
    return (this.#db ??= createKysely(this.#parts.generations.reader))
  }

  get log(): Logger {
    return (this.#log ??= boundLogger(this.#parts.logger, {
      service: this.#parts.emission.emitter.name,
      handling: this.#subject.name,
      requestId: this.#subject.requestId,
      trace: this.trace,
    }))
  }

  get trace(): string {
    const { parentTrace } = this.#subject
    return (this.#trace ??=
      parentTrace === undefined ? newTrace(this.#parts.host) : childTrace(this.#parts.host, parentTrace))
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController()
      const outer = this.#subject.signal
      if (outer?.aborted) this.#abort.abort(outer.reason)
      else outer?.addEventListener('abort', () => this.abort(outer.reason), { once: true })
      if (this.#state === 'over') this.#abort.abort()
    }
    return this.#abort.signal
  }

  get now(): () => number {
    return this.#parts.host.now
  }

  get newId(): () => string {
    return () => this.ids.next('handler')
  }

  get ids(): Ids {
    return (this.#ids ??= new Ids(this.#parts.host, this.#subject.idSeed))
  }

  get call(): Call {
    return (operation, input, options) => this.#call(operation, input, options)
  }

  get tx(): Transact<unknown, EventDefinition> {
    return (work) => {
      const transaction = this.#transact(work)
      // Whoever forgets to await it must not be left with an error that nobody catches, which ends the process.
      const ended = transaction.then(noop, noop)
      this.#ended ??= ended
      return transaction
    }
  }

  /**
   * Commits what its frame adds, and nothing else: for a handler that opened no transaction, or has caught what that
   * failed with. Rejects once the handling was ended from outside: what became of it is decided then.
   */
  conclude(result?: unknown): Promise<unknown> {
    if (this.#state === 'over' && this.reason === undefined) {
      this.#state = 'ready'
      this.#ended = this.#failure = undefined
      this.failedWork = noFailedWork
    }
    return this.tx(() => result)
  }

  /**
   * Resolves when its transaction, if one is under way, has ended: a handler that did not await it is done no earlier
   * than that. Rejects if that transaction failed.
   */
  async settled(): Promise<void> {
    if (this.#state !== 'in-tx') return
    await this.#ended
    if (this.#failure) throw this.#failure.thrown
  }

  /**
   * Refuses what its handler built outside its transaction, or `returned`, and did not execute. Once it has committed,
   * that can only be told.
   */
  assertExecuted(returned?: unknown): void {
    try {
      assertExecuted(this.#db, returned)
    } catch (error) {
      if (!this.committed) throw error
      this.log.error(
        { error: AtollError.from(error) },
        `${this.#subject.name} built a query and did not execute it, after its transaction had committed`,
      )
    }
  }

  async #call<Op extends BoundOperation>(
    operation: Op,
    input: unknown,
    options: CallOptions = {},
  ): Promise<z.output<Op['output']>> {
    if (this.#state === 'in-tx') {
      throw new AtollError(
        'CALL_IN_TX',
        `${this.#subject.name} called ${operation.name} inside its transaction. It would hold the store's writer while it waits, and two services that do so can wait for each other for ever: call before tx, and pass the result in`,
      )
    }
    if (this.#subject.dry)
      throw new AtollError(
        'UNSUPPORTED',
        `${this.#subject.name} calls ${operation.name}, which a dry run must not do: it could not be undone`,
      )
    const { host } = this.#parts
    const deadlineMs =
      options.timeoutMs === undefined
        ? this.#subject.deadlineMs
        : Math.min(this.#subject.deadlineMs, host.monotonicMs() + options.timeoutMs)
    const dispatched = this.#parts.dispatcher.dispatch(
      operation.name,
      {
        input,
        caller: this.#subject.caller,
        position: mergePositions(this.#subject.position, this.#position),
        maybeSeen: this.#subject.maybeSeen,
        deadlineMs,
        signal: this.#subject.signal,
        trace: this.trace,
        requestId: this.#subject.requestId,
      },
      'handler',
    )
    const answer = await dispatched.catch((error: unknown) => {
      throw withoutEffect(error)
    })
    this.#position = mergePositions(this.#position, answer.position)
    this.missed ||= answer.missed === true
    return answer.output as z.output<Op['output']> // the dispatcher checked it against this very operation's schema
  }

  async #transact<T>(work: (tx: TransactionContext<unknown, EventDefinition>) => T | Promise<T>): Promise<T> {
    try {
      this.#assertMayTransact()
    } catch (error) {
      this.refusal ??= AtollError.from(error)
      throw error
    }
    const { store, emission } = this.#parts
    const { frame } = this.#subject
    const outgoing = new Outgoing(emission.emitter, this)
    this.#state = 'in-tx'
    try {
      const { result, position } = await this.#apart(() => transact(store, outgoing, frame, this, work))
      this.#state = 'committed'
      this.#position = mergePositions(this.#position, position)
      this.result = result
      if (outgoing.hasEvents || outgoing.hasTimers)
        this.#apart(() => emission.committed({ position, events: outgoing.written, timers: outgoing.hasTimers }))
      // What work returned, as the frame's check let it pass: same shape, same type.
      return result as T
    } catch (error) {
      this.#state = 'over'
      this.#failure = { thrown: error }
      this.storeFailed = isStoresDoing(error, this.failedWork)
      throw error
    }
  }

  about(): LogFields {
    const { name, requestId } = this.#subject
    const event = this.event && { event: this.event.id, type: this.event.type, key: this.event.key }
    return { service: this.#parts.emission.emitter.name, handling: name, requestId, ...event, trace: this.trace }
  }

  /** What it has not committed fails with this, and who waits on behalf of it hears of it. */
  takeStray(thrown: unknown): void {
    const error = AtollError.from(thrown)
    this.#strays ??= new Strays()
    if (this.#strays.add(error)) this.#abort?.abort(error)
    else reportStray(this.#parts.logger, this, error)
  }

  /** From here on its outcome does not change. Throws the first stray before that. */
  decide(): void {
    const error = this.#decide()
    if (error) throw error
  }

  #decide(): AtollError | undefined {
    return this.#parts.attribution && (this.#strays ??= new Strays()).decide()
  }

  /** What it has failed with, and not committed: a stray of its says more than what came of that. */
  failureOf(error: unknown): unknown {
    return this.#decide() ?? error
  }

  /** Runs code of the handler. */
  within<T>(work: () => T): T {
    const { attribution } = this.#parts
    return attribution ? attribution.during(this, work) : work()
  }

  /** Runs what the handler asked for and is none of its code: store, relay, timers. They go on when it has ended. */
  #apart<T>(work: () => T): T {
    const { attribution } = this.#parts
    return attribution ? attribution.apart(work) : work()
  }

  /**
   * Its handler has ended, well or not. What that left behind opens no transaction any more: the outcome would be
   * another than the one that is told, or counted.
   */
  end(): void {
    if (this.#state === 'ready') this.#state = 'over'
  }

  /**
   * Ends the handling: `signal` aborts, and a transaction that has not begun is refused. One that has begun ends as it
   * will.
   */
  abort(reason: unknown): void {
    this.reason ??= reason
    if (this.#state === 'ready') {
      this.#state = 'over'
      this.#decide()
    }
    this.#abort?.abort(reason)
  }

  #assertMayTransact(): void {
    if (this.#state === 'in-tx' || this.#state === 'committed') {
      throw new AtollError(
        'TX_REPEATED',
        `${this.#subject.name} opened a second transaction; one handling is one transaction`,
      )
    }
    if (this.#state === 'over')
      throw new AtollError('TX_CLOSED', `${this.#subject.name} opened a transaction after its handling had ended`)
    if (this.#parts.host.monotonicMs() >= this.#subject.deadlineMs) {
      throw new AtollError(
        'DEADLINE_EXCEEDED',
        `${this.#subject.name} was not done when its time ran out; nothing was changed`,
      )
    }
  }
}

/** The view that `on` handlers have. */
export type EventView = Handling & EventContext<unknown, unknown, EventDefinition>

/** That a call had no effect says nothing of who made it: before it, that one may have had some. */
function withoutEffect(error: unknown): unknown {
  const own = AtollError.from(error)
  if (own !== error || !('effect' in own.details)) return error
  const { effect: _, ...details } = own.details
  return new AtollError(own.code, own.reason, { details, cause: own })
}

function noop(): void {}

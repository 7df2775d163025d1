import type { Logger } from '@atoll/host'
import type { Kysely } from 'kysely'
import type { z } from 'zod'
import type { DataOf, EventDefinition } from '../contract/event.ts'
import type { Auth, BoundOperation, Operation } from '../contract/operation.ts'

/** Who asks: what the gateway's authenticator found in the token, handed on from service to service. */
export interface Caller {
  readonly id: string
  readonly claims: Readonly<Record<string, unknown>>
}

/** What every handler gets. */
export interface Context<Tables> {
  /** Committed state of the service's own store and projections, for reading outside a transaction. */
  readonly db: Kysely<Tables>
  /**
   * Calls an operation of another service (or of this one): validated, with this handling's deadline, caller and trace.
   * Not inside `tx` (CALL_IN_TX). Rejects with the callee's error, DEADLINE_EXCEEDED or UNAVAILABLE.
   */
  readonly call: Call
  /** Aborts when the deadline passes or the caller goes away. Hand it to everything that waits. */
  readonly signal: AbortSignal
  /** Logs with the request id and the operation. */
  readonly log: Logger
  /** Wall clock, milliseconds since 1970. Use it in place of Date.now(), so that tests can hold the clock. */
  now(): number
  /**
   * A UUID that sorts by time. Use it in place of crypto.randomUUID(): a handler of an event that runs again gets the
   * ids that it got before, in the same order, and so does a command that is sent again with its Idempotency-Key.
   */
  newId(): string
}

export type Call = <Op extends BoundOperation>(
  operation: Op,
  input: z.input<Op['input']>,
  options?: CallOptions,
) => Promise<z.output<Op['output']>>

export interface CallOptions {
  /** At most this long, and never past the caller's own deadline. Default: what is left of that. */
  timeoutMs?: number
}

export interface QueryContext<Tables, Input, A extends Auth> extends Context<Tables> {
  readonly input: Input
  readonly caller: CallerOf<A>
}

/** `Own` are the tables of the service's store; projections are written by their events alone. */
export interface CommandContext<
  Tables,
  Input,
  A extends Auth,
  Emits extends EventDefinition,
  Own = Tables,
> extends QueryContext<Tables, Input, A> {
  /**
   * The version in the client's If-Match, without quotes; `*` if any will do, as long as there is one; undefined if it
   * sent none. Throw `stale` with the present version if that is another: where the client takes any, the command is
   * run again with it. See `changeVersion`.
   */
  readonly ifMatch: string | undefined
  /**
   * `*` if the client wants to make what is not there yet (`If-None-Match: *`): throw `stale` if there is one. A
   * command whose handler looks at neither this nor `ifMatch` is refused when the client sent them: a condition is
   * judged, or nothing is done.
   */
  readonly ifNoneMatch: '*' | undefined
  readonly tx: Transact<Own, Emits>
}

/** What `on` handlers get. */
export interface EventContext<Tables, Data, Emits extends EventDefinition> extends Context<Tables> {
  readonly event: ReceivedEvent<Data>
  readonly tx: Transact<Tables, Emits>
}

/** What `project` handlers get: the store, inside the transaction of the batch. */
export interface ProjectionContext<Tables> {
  readonly db: Kysely<Tables>
}

export interface ReceivedEvent<Data> {
  readonly id: string
  readonly type: string
  readonly version: number
  readonly key: string
  readonly data: Data
  /** When it was emitted, by the emitter's clock, milliseconds since 1970. */
  readonly at: number
  /** The service that emitted it. */
  readonly source: string
  /** W3C traceparent of the span that emitted it. */
  readonly trace: string
}

/**
 * Runs one atomic transaction: state, emitted events, timers and "this input is handled" commit together or not at all.
 * Resolves once the commit is durable. At most once per handling (TX_REPEATED). Inside it, wait for nothing but `db`
 * (TX_WAITED). Once it has committed, a command is answered with what it returned, whatever its handler does after it:
 * what fails then, or returns something else (ANSWER_OUTSIDE_TX), is logged.
 */
export type Transact<Tables, Emits extends EventDefinition> = <T>(
  work: (tx: TransactionContext<Tables, Emits>) => T | Promise<T>,
) => Promise<T>

export interface TransactionContext<Tables, Emits extends EventDefinition> {
  /** The service's own store, inside the transaction. */
  readonly db: Kysely<Tables>
  /**
   * Leaves an event in the outbox. It is checked against its schema now (EVENT_INVALID) and goes out if the transaction
   * commits.
   */
  emit<Event extends Emits>(event: Event, data: DataOf<Event>): void
  /**
   * Emits an event at a later time of the wall clock, durably; `afterMs` counts from now, and anew from when the clock
   * is found to have been set back. Waits for nothing; the id cancels it.
   */
  schedule<Event extends Emits>(event: Event, data: DataOf<Event>, when: { afterMs: number } | { at: number }): string
  /**
   * Cancels what {@link schedule} will emit. Resolves with true if the timer was there: its event will never be
   * emitted, if this transaction commits. With false if it was not, and nothing is changed: its event has been emitted,
   * handled or not yet; or it was cancelled before.
   */
  cancel(timerId: string): Promise<boolean>
}

/** `auth: 'user'` means there is a caller, `none` that nobody looks, `optional` that there may be one. */
export type CallerOf<A extends Auth> = A extends 'user' ? Caller : A extends 'none' ? undefined : Caller | undefined

type MaybePromise<T> = T | Promise<T>

/** The handler that an operation needs. */
export type Handler<Op, Tables, Emits extends EventDefinition, Own = Tables> =
  Op extends Operation<infer Kind, infer Input, infer Output, infer A>
    ? Kind extends 'command'
      ? (context: CommandContext<Tables, z.output<Input>, A, Emits, Own>) => MaybePromise<z.input<Output>>
      : (context: QueryContext<Tables, z.output<Input>, A>) => MaybePromise<z.input<Output>>
    : never

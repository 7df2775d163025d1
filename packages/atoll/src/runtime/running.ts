import type { Host, Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver } from '@atoll/store/driver'
import type { Caller } from '../service/context.ts'
import type { System } from '../system.ts'
import type { Admin } from './admin.ts'
import type { Attribution } from './handling/attribution.ts'
import type { RuntimeOptions } from './options.ts'
import type { Position } from './position.ts'

/** What a running system stands on. All of its I/O, time and chance comes through here. */
export interface Ports {
  readonly host: Host
  readonly stores: StoreDriver
  readonly log: Log
  readonly logger: Logger
  /** Knows on whose behalf code runs. Without it, a rejection that nobody awaits is nobody's, and ends the process. */
  readonly attribution?: Attribution | undefined
  /** Reaches the services of the system that run elsewhere; needed if not all of them run here. */
  readonly calls?: Calls
}

/** Reaches services that run in other processes. */
export interface Calls {
  /**
   * Runs an operation of a service that is not here. Rejects with AtollError alone; UNAVAILABLE if nobody can be
   * reached.
   */
  dispatch(operation: string, request: Dispatch): Promise<Dispatched>
}

/** A system whose services run. */
export interface RunningSystem {
  readonly system: System
  /**
   * Runs an operation by its name (`orders.place`), as the gateway or a test asks for it. Rejects with AtollError
   * alone.
   */
  dispatch(operation: string, request: Dispatch): Promise<Dispatched>
  readonly services: ReadonlyMap<string, RunningService>
  readonly admin: Admin
  /**
   * Whether every service is running and every subscription reads. With reasons, when not; and what somebody should
   * know all the same.
   */
  readiness(): Readiness
  /**
   * Whether nothing is in hand here: no operation, no event, nothing on its way to the log, as far as this process
   * knows.
   */
  readonly idle: boolean
  /**
   * Resolves when everything that was emitted is handled or held by every running subscription, and nothing is in hand.
   * Timers and retries that are not due yet do not count. Under constant load it may never resolve; it is for tests and
   * for draining, and keeps looking until `signal` aborts (CANCELLED). Rejects with what stands in the way of quiet for
   * good, such as LOG_GAP.
   */
  quiet(signal?: Cancellation): Promise<void>
  /**
   * Drains: refuses new work, lets work under way end (10 s at the most by default), hands events on, closes
   * everything. Idempotent.
   */
  stop(options?: StopOptions): Promise<void>
}

/** Whether a system can do its work. */
export interface Readiness {
  readonly ready: boolean
  /** Why it is not. For operators: it may name addresses, databases and users. */
  readonly reasons: readonly string[]
  /** The same for anybody who asks: who cannot do its work, and the code of what keeps it. */
  readonly brief: readonly string[]
  /** What weakens its promises, though it is ready: {@link RuntimeOptions.warnings}. */
  readonly warnings: readonly string[]
}

/** What keeps a part of a system from its work. */
export interface Problem {
  readonly reason: string
  readonly brief: string
}

/** A system that is open to be looked at, and does not run. */
export interface OpenSystem {
  readonly admin: Admin
  /** Closes the stores; the log and the store driver stay the caller's. */
  close(): Promise<void>
}

/** How long work under way may take when something stops and does not say, milliseconds. */
export const DRAIN_MS = 10_000

export interface StopOptions {
  /** How long work under way may take, milliseconds. Default 10,000. */
  drainMs?: number
}

/** One service in a running system. Any one can stop; the others go on, and it catches up when it starts again. */
export interface RunningService {
  readonly name: string
  readonly state: 'starting' | 'running' | 'stopping' | 'stopped'
  start(): Promise<void>
  stop(options?: StopOptions): Promise<void>
}

/**
 * What the runtime needs of an `AbortSignal`, which is one. A gateway has something lighter: most requests end without
 * anybody having asked for theirs.
 */
export interface Cancellation {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** A request to run an operation. */
export interface Dispatch {
  /**
   * A client sent the input: texts in it must be such as every store keeps, without U+0000, and a key that cannot be
   * one is the client's to mend. Default: whoever calls answers for it.
   */
  readonly isFromClient?: boolean
  /** Not yet validated. */
  readonly input: unknown
  readonly caller?: Caller | undefined
  /** What the caller has seen; a causal operation waits for it. */
  readonly position?: Position | undefined
  /** What the caller may have seen; it waits for that as well, for a short while. */
  readonly maybeSeen?: MaybeSeen | undefined
  /** When the answer is of no more use, by `host.monotonicMs()`. Default: 10 s from now. */
  readonly deadlineMs?: number | undefined
  /** Aborts when the caller goes away. */
  readonly signal?: Cancellation | undefined
  readonly idempotencyKey?: string | undefined
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: '*' | undefined
  /** W3C traceparent of the caller's span. Default: a new trace. */
  readonly trace?: string | undefined
  /** Id of the request, for logs and as the cause of events. Default: a fresh UUID. */
  readonly requestId?: string | undefined
  /** Answer as the operation's `show` says. The gateway sets it; calls between services do not. */
  readonly show?: boolean | undefined
  /**
   * How much of an answer can be sent to who asks, as JSON, bytes; with more it is ANSWER_TOO_LARGE, and a command does
   * nothing. Default: any.
   */
  readonly answerBytesMax?: number | undefined
}

/** What somebody wrote who may be the caller: it came from the same address. */
export interface MaybeSeen {
  readonly position: Position
  /** By `host.monotonicMs()`; then the answer is made from what is there. */
  readonly untilMs: number
}

export interface Dispatched {
  readonly output: unknown
  /** The same as JSON, if that was made already. */
  readonly outputJson?: string | undefined
  /**
   * `shown`: the output is that of the `show` query. `accepted`: the command succeeded, its `show` query could not
   * answer in time.
   */
  readonly outcome: 'done' | 'shown' | 'accepted'
  /** What the answer rests on; the client's next causal read should carry it. */
  readonly position: Position
  /** The version of the output, if its operation has one. */
  readonly etag?: string | undefined
  /** Not all was there in time that the caller may have seen ({@link Dispatch.maybeSeen}). */
  readonly missed?: boolean | undefined
  /** An answer recorded earlier under the same Idempotency-Key. */
  readonly replayed?: boolean | undefined
}

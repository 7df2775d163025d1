import type { GatewayOptions, Served } from '@atoll/gateway'
import type { RuntimeOptions } from 'atoll/runtime'

export interface WorldOptions {
  /** Decides everything that chance decides: the order of turns, ids, jitter, which instance answers. Default 1. */
  seed?: number | string
  /**
   * How long it takes until an instance that ended by what runs in it is started again, milliseconds. Default 1,000.
   */
  restartMs?: number
  /**
   * How many handlings may come of events that lead to each other, the same one again and again, while no time passes;
   * with one more it is a loop, and everybody who waits hears of it: NOT_QUIET. Default 1,000.
   */
  loopHandlingsMax?: number
  /** Only what differs from {@link worldRuntime}, the runtime's defaults but for what would only make worlds slow. */
  runtime?: Partial<Omit<RuntimeOptions, 'services' | 'instance'>>
  /**
   * What the gateway should be like. Without an `authenticate` of its own a token is taken for the id of its user, so
   * that tests need not log in.
   */
  gateway?:
    | Partial<Omit<GatewayOptions, 'host' | 'logger'>>
    | ((served: Served) => Partial<Omit<GatewayOptions, 'host' | 'logger'>>)
}

/** What is asked for along with an operation or a request. */
export interface AskOptions {
  /** The id of the user on whose behalf it is asked. */
  as?: string
}

export interface RequestOptions extends AskOptions {
  body?: unknown
  headers?: Readonly<Record<string, string>>
  /** Where it comes from: what the gateway remembers callers without a token by. Default `client`. */
  address?: string
}

export interface WorldResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The body, read as JSON; undefined if there is none. */
  readonly body: unknown
}

/** What a line of the log said. */
export interface Logged {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/**
 * Few partitions and long leases: nothing happens in between, and virtual hours go by in no time. But an instance that
 * looks into the outbox must find what another has committed before a causal read of it gives up (causalWaitMs).
 */
export const worldRuntime = { partitions: 4, leaseMs: 60_000, lookMs: 4_000 } as const

/** What ends at once does not start all the time. */
export const defaultRestartMs = 1_000
/** Nobody pages through more at once, and a loop is there within a second. */
export const defaultLoopHandlingsMax = 1_000

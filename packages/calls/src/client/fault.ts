import { AtollError } from '@atoll/host'

/** What an instance did that a call could not end well with. What an operation answered, also an error, is no fault. */
export type FaultKind =
  /** No connection came about: the call was never there. */
  | 'unreached'
  /** It will take no calls: it is stopping, or does not run that service. */
  | 'refused'
  /** It will not take this call: it has as many as it takes, or is of a version that does not know the operation. */
  | 'declined'
  /** The call was sent, and no answer came back that can be read. */
  | 'lost'
  /** It does not say that it lives while calls wait for it. */
  | 'hangs'

/** Thrown inside the client, and never out of it. */
export class Fault extends Error {
  readonly kind: FaultKind

  constructor(kind: FaultKind, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }

  /** Whether the call certainly had no effect. */
  get hadNoEffect(): boolean {
    return this.kind === 'unreached' || this.kind === 'refused' || this.kind === 'declined'
  }

  /** Whether it speaks against the instance. */
  get isJudged(): boolean {
    return this.kind !== 'declined'
  }

  /** Whether the instance takes nothing from this process, because it has another secret. */
  get refusesSecret(): boolean {
    return this.kind === 'refused' && this.cause instanceof AtollError && this.cause.code === 'UNAUTHENTICATED'
  }

  /**
   * Whether one is enough to leave the instance out. A lost call may be the fault of the network, or of a connection
   * that was just closed.
   */
  get isDecisive(): boolean {
    return this.kind !== 'lost'
  }
}

/**
 * What Atoll asks of the world outside: time, the end of a turn, ids, chance. Everything that the runtime, the stores
 * and the logs do not compute themselves comes through here, so that a whole system can run under a seed and a virtual
 * clock.
 */
export interface Host {
  /** Wall clock, milliseconds since 1970. It may jump, in both directions; never measure with it. */
  now(): number
  /** Milliseconds since some start. Never jumps, never goes back; measures and orders waits inside this process. */
  monotonicMs(): number
  /** Calls `callback` once, `delayMs` or more from now. It does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer
  /**
   * Calls `callback` when all that is ready to run has run: after every promise that can settle by itself has settled.
   * What is still waiting then, waits for something outside.
   */
  turn(callback: () => void): void
  /** A fresh UUID, version 7: ids sort by the time of their making. */
  uuid(): string
  /** So many random bytes, as lower-case hex. For ids of traces; never for secrets. */
  hex(bytes: number): string
  /** A number in [0, 1). For jitter; never for secrets. */
  random(): number
  /**
   * SHA-256 of a text, in hex; with a key, HMAC-SHA-256, which nobody can compute who does not have the key. For
   * comparing what must not be kept; not for passwords.
   */
  digest(text: string, key?: string): string
}

/** A call that {@link Host.after} owes. */
export interface Timer {
  /** The call will not come. Cancelling twice, or late, does nothing. */
  cancel(): void
}

/**
 * Where a part says what happened, for people. Fields are structured; a message never holds a secret or a payload. A
 * logger never throws, whatever the fields are, and never waits: it leaves out what it cannot put away, and says so
 * later. Who calls it goes on at once.
 */
export interface Logger {
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogFields = Readonly<Record<string, unknown>>

/** A logger that says nothing. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} }

import type { Timer } from '@atoll/host'

/** Every limit of what is written to standard error. */
export interface LineLimits {
  /**
   * What may wait because its reader stands still or its disk is full, bytes; lines beyond it are left out and counted.
   * Default 4 MiB.
   */
  readonly pendingBytesMax: number
  /** Longest line, characters; a longer one is cut. Default 65,536. */
  readonly lineCharsMax: number
  /** How soon a reader that took no more is tried again, milliseconds. Default 10. */
  readonly retryMs: number
  /** How soon what failed for another reason (no room, no reader) is tried again, milliseconds. Default 1,000. */
  readonly troubleMs: number
}

export const defaultLineLimits: LineLimits = {
  pendingBytesMax: 4 * 2 ** 20,
  lineCharsMax: 2 ** 16,
  retryMs: 10,
  troubleMs: 1_000,
}

export interface LinesOptions {
  /**
   * Writes what it can without waiting, and answers how many bytes that was. Throws EAGAIN if it was none, and what
   * else goes wrong.
   */
  readonly write: (bytes: Uint8Array) => number
  readonly after: (delayMs: number, callback: () => void) => Timer
  /** Only what differs from {@link defaultLineLimits}. */
  readonly limits?: Partial<LineLimits> | undefined
}

/** Words a line that says how many were left out, and why (`EAGAIN`, `ENOSPC`, …). */
export type Notice = (leftOut: number, why: string) => string

/**
 * Lines on their way out. A log must neither stop a process nor end it: what cannot be written at once waits, up to a
 * bound; lines beyond that are left out, and the next one that fits says how many. Nothing here throws, and nothing
 * waits for the other side.
 */
export class Lines {
  readonly #write: LinesOptions['write']
  readonly #after: LinesOptions['after']
  readonly #limits: LineLimits
  #pending: Buffer[] = []
  /** Of the first one that is pending, what has gone out. */
  #written = 0
  #pendingBytes = 0
  #leftOut = 0
  #notice: Notice = (leftOut, why) => `${leftOut} lines were left out (${why})`
  #why = 'EAGAIN'
  #timer: Timer | undefined

  constructor({ write, after, limits }: LinesOptions) {
    this.#write = write
    this.#after = after
    this.#limits = { ...defaultLineLimits, ...limits }
  }

  /** Takes a line, without its end. `notice` words what is said of lines that were left out before it. */
  push(line: string, notice: Notice = this.#notice): void {
    this.#notice = notice
    const { lineCharsMax } = this.#limits
    const bytes = Buffer.from(line.length > lineCharsMax ? `${line.slice(0, lineCharsMax)}… (cut)\n` : `${line}\n`)
    if (!this.#hasRoomFor(bytes.length)) {
      this.#leftOut++
      return
    }
    this.#tellLeftOut()
    this.#add(bytes)
    if (!this.#timer) this.#pump()
  }

  /** Resolves when nothing is pending, or after a time. */
  async flush(withinMs: number): Promise<void> {
    for (let waitedMs = 0; this.#pending.length > 0 && waitedMs < withinMs; waitedMs += this.#limits.retryMs) {
      // it keeps the process, which `after` does not
      await new Promise<void>((resolve) => void setTimeout(resolve, this.#limits.retryMs))
      this.#pump()
    }
  }

  /** Writes what goes at once. For the end of the process. */
  flushNow(): void {
    this.#pump()
  }

  /**
   * Once lines are left out, it is until half of what waits has gone: a line about each single one would be no help.
   */
  #hasRoomFor(bytes: number): boolean {
    const { pendingBytesMax } = this.#limits
    return this.#pendingBytes + bytes <= (this.#leftOut > 0 ? pendingBytesMax / 2 : pendingBytesMax)
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return
    const leftOut = this.#leftOut
    this.#leftOut = 0
    this.#add(Buffer.from(`${this.#notice(leftOut, this.#why)}\n`))
  }

  #add(bytes: Buffer): void {
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
  }

  #pump(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const all = this.#pending
    let done = 0
    try {
      for (; done < all.length; done++) {
        const bytes = all[done]! // looked at just now
        while (this.#written < bytes.length) this.#written += this.#write(bytes.subarray(this.#written))
        this.#written = 0
        this.#pendingBytes -= bytes.length
        if (done === all.length - 1) this.#tellLeftOut()
      }
    } catch (error) {
      this.#why = codeOf(error)
      this.#timer = this.#after(this.#why === 'EAGAIN' ? this.#limits.retryMs : this.#limits.troubleMs, () =>
        this.#pump(),
      )
    }
    this.#pending = done === 0 ? all : all.slice(done)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'it could not be written'
}

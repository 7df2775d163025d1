import type { Target } from './target.ts'

/** Something that somebody does to a gateway, on purpose, to others who use it. */
export interface Attack {
  /** By which it is asked for. */
  readonly name: string
  /** The section of docs/operating/security.md that says what bounds it. */
  readonly section: string
  /** What is done, and how often. */
  readonly what: string
  /** The outcome that the section promises for what it sends; others are counted beside it. */
  readonly outcome: string
  /** Goes on until `signal` aborts, and lets go of everything then. Never rejects. */
  run(target: Target, outcomes: Outcomes, signal: AbortSignal): Promise<void>
}

/** How often each outcome came: a status, `closed` for a connection that was closed without one. */
export class Outcomes {
  readonly #counts = new Map<string, number>()

  count(outcome: string): void {
    this.#counts.set(outcome, this.of(outcome) + 1)
  }

  of(outcome: string): number {
    return this.#counts.get(outcome) ?? 0
  }

  toObject(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }
}

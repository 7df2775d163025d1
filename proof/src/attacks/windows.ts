import type { Seen } from './honest.ts'

/** Of one window: half of the answers took no longer than `p50`, 99 in 100 no longer than `p99`, milliseconds. */
export interface Figures {
  readonly p50: number
  readonly p99: number
  readonly answers: number
  readonly failures: readonly string[]
}

/** A window without the attack, and the one with it that followed. */
export interface Turn {
  readonly without: Figures
  readonly with: Figures
}

/**
 * What the attack cost: the median of the windows with it over that of those without, and what was not answered
 * meanwhile.
 */
export interface Cost {
  readonly p50: number
  readonly p99: number
  readonly failed: number
}

export function figuresOf({ tookMs, failures }: Seen): Figures {
  return { p50: at(tookMs, 0.5), p99: at(tookMs, 0.99), answers: tookMs.length, failures }
}

/** Medians of windows: one of them in which the machine did something else says nothing. */
export function costOf(turns: readonly Turn[]): Cost {
  const ratio = (of: (figures: Figures) => number): number =>
    median(turns.map((turn) => of(turn.with))) / median(turns.map((turn) => of(turn.without)))
  return {
    p50: ratio(({ p50 }) => p50),
    p99: ratio(({ p99 }) => p99),
    failed: turns.reduce((sum, turn) => sum + turn.with.failures.length, 0),
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  // of an even number, between the two in the middle
  return (at(sorted, 0.5) + sorted[Math.floor(sorted.length / 2)]!) / 2
}

/** The smallest value that so great a part of all does not exceed; NaN of none. */
function at(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN
}

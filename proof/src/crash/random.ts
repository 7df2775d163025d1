import type { Random } from '@atoll/testkit'

// What chances of a seed are used for here. The same seed plans the same kills; how the processes' threads run is
// theirs.

/** A whole number from `least` to `most`, both included. */
export function between(random: Random, least: number, most: number): number {
  return least + random.int(most - least + 1)
}

/** One of them, by their weights. */
export function weighted<T>(random: Random, list: readonly (readonly [weight: number, value: T])[]): T {
  let at = random.next() * list.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, value] of list) if ((at -= weight) < 0) return value
  return list[list.length - 1]![1] // callers have something to choose from
}

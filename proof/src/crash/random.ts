/** Chance under a seed. The same seed plans the same kills; how the processes' threads run is theirs. */
export interface Random {
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  /** One of them, by their weights. */
  weighted<T>(list: readonly (readonly [weight: number, value: T])[]): T
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  /** Mulberry32: small, and good enough to spread kills. */
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  return {
    between,
    chance: (probability) => next() < probability,
    pick: (list) => list[between(0, list.length - 1)]!, // callers have something to pick from
    weighted(list) {
      let at = next() * list.reduce((sum, [weight]) => sum + weight, 0)
      for (const [weight, value] of list) if ((at -= weight) < 0) return value
      return list[list.length - 1]![1]
    },
  }
}

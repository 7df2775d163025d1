/** Chance that a seed decides: the same seed gives the same numbers, on every machine. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** A whole number in [0, below). */
  int(below: number): number
  /** Whether something of this probability happens. */
  chance(probability: number): boolean
  /** One of a list, which must not be empty. */
  pick<T>(list: readonly T[]): T
  /** The list in another order. */
  shuffle<T>(list: readonly T[]): T[]
  /** A source of its own, by name: what is drawn from it leaves this one as it was. */
  fork(name: string): Random
}

/** sfc32 by Chris Doty-Humphrey (PractRand), seeded through {@link hashText}. */
export function createRandom(seed: number | string): Random {
  const text = String(seed)
  let [a, b, c, counter] = [hashText(`${text}/a`), hashText(`${text}/b`), hashText(`${text}/c`), 1]
  const draw = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  for (let round = 0; round < WARM_UP; round++) draw()
  const next = (): number => draw() / 4_294_967_296
  const int = (below: number): number => Math.floor(next() * below)
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('there is nothing to pick from an empty list')
      return list[int(list.length)]!
    },
    shuffle(list) {
      const shuffled = [...list]
      for (let index = shuffled.length - 1; index > 0; index--) {
        const other = int(index + 1)
        ;[shuffled[index], shuffled[other]] = [shuffled[other]!, shuffled[index]!]
      }
      return shuffled
    },
    fork: (name) => createRandom(`${text}/${name}`),
  }
}

/**
 * FNV-1a by Fowler, Noll and Vo, 32 bits, with the finish of MurmurHash3 by Austin Appleby, so that like texts give
 * unlike numbers.
 */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** As its author advises, so that little seeds do not begin alike. */
const WARM_UP = 12

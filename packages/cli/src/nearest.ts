/**
 * Which of these was probably meant by a word that is none of them; undefined if it is like none. Only letters count.
 */
export function nearestOf<Name extends string>(word: string, names: readonly Name[]): Name | undefined {
  const [best] = names
    .map((name) => ({ name, distance: distanceOf(lettersOf(word), lettersOf(name)) }))
    .sort((a, b) => a.distance - b.distance)
  return best && best.distance <= DISTANCE_MAX ? best.name : undefined
}

function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z]/g, '')
}

/** Of two words: how many letters to put in, take out or exchange (Levenshtein). */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

const DISTANCE_MAX = 3

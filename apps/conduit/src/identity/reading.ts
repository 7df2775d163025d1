// How people read names: two that look the same are the same, whatever they are made of.

/**
 * A user name or an e-mail address as people read it, to compare it: without regard to case, to forms of one character
 * (full-width, ligatures), to characters that cannot be seen, and to the kind and number of spaces. Never shown. Empty
 * if there is nothing to be seen.
 */
export function asRead(text: string): string {
  // By way of capitals, since some letters have one form there and two among small ones: ß and ss, σ and ς.
  const folded = text.normalize('NFKC').replace(invisible, '').toLowerCase().toUpperCase().toLowerCase()
  return folded.normalize('NFKC').replace(blanks, ' ').trim()
}

/**
 * Whether a name mixes alphabets of which one has letters that look like those of another: `аdmin` with a Cyrillic а. A
 * whole name in another alphabet is let be, since people have such names, also where it looks like a word in this one.
 */
export function mixesAlphabets(text: string): boolean {
  return lookalikes.filter((alphabet) => alphabet.test(text)).length > 1
}

/**
 * Whether there is something in a name that nobody sees. Behind something that is seen, joiners and selectors of
 * variants are a part of how some languages, and emoji, are written.
 */
export function hasUnseen(text: string): boolean {
  return /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Zl}\p{Zp}\u2800]/u.test(text.replace(written, '$1'))
}

const written = /([^\p{Default_Ignorable_Code_Point}\p{White_Space}\u2800])\p{Variation_Selector}?[\u200c\u200d]?/gu

/**
 * What Unicode says to leave out where it cannot be shown: joiners, marks of direction, fillers, selectors of variants.
 */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu

/** Spaces, and the pattern of Braille without a dot, which Unicode calls neither a space nor invisible. */
const blanks = /[\p{White_Space}\u2800]+/gu

const lookalikes = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Lisu}/u,
]

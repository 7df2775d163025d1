import { AtollError } from '@atoll/host'

// JavaScript rounds numbers beyond 2^53, and says nothing of it: an id that arrives as its neighbour is somebody
// else's.

/**
 * Whether a number is what somebody wrote. Whole numbers must be so exactly. Those in scientific notation are none that
 * name a thing: they must be what would be written for the number again. Decimals are kept as every language keeps
 * them, unless nothing is left of them.
 */
export function isKept(written: string, number: number): boolean {
  const decimal = toDecimal(written)
  if (!decimal || !Number.isFinite(number)) return false
  if (Math.abs(number) < 2 ** 53) return number !== 0 || decimal.digits === ''
  if (decimal.isScientific) {
    const shown = toDecimal(String(number))
    return shown?.digits === decimal.digits && shown.power === decimal.power
  }
  return decimal.power >= 0 && BigInt(decimal.digits + '0'.repeat(decimal.power)) === BigInt(Math.abs(number))
}

/** Throws INVALID if a text of one of these fields becomes a number that is not the one that it says. */
export function assertExactTexts(input: Readonly<Record<string, unknown>>, fields: readonly string[]): void {
  for (const field of fields) {
    const value = input[field]
    for (const text of Array.isArray(value) ? value : [value]) {
      if (typeof text !== 'string') continue
      const number = Number(text)
      if (Math.abs(number) >= 2 ** 53 && !isKept(text.trim(), number))
        throw inexact(field, text, 'numbers go up to 2^53 here')
    }
  }
}

export function inexact(field: string, written: string, remedy: string): AtollError {
  return new AtollError(
    'INVALID',
    `${field} is ${written.length > 40 ? 'a number of more than 40 digits' : written}, which would be rounded; ${remedy}`,
    {
      details: { fields: { [field]: [`has too many digits to be kept exactly; ${remedy}`] } },
    },
  )
}

/** Digits without zeros at either end, times ten to a power. */
interface Decimal {
  readonly digits: string
  readonly power: number
  readonly isScientific: boolean
}

function toDecimal(text: string): Decimal | undefined {
  const found = /^[+-]?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (!found) return undefined
  const [, whole = '', fraction = '', exponent] = found
  const all = whole + fraction
  let begin = 0
  let end = all.length
  while (all[begin] === '0') begin++
  while (end > begin && all[end - 1] === '0') end--
  return {
    digits: all.slice(begin, end),
    power: Number(exponent ?? 0) - fraction.length + all.length - end,
    isScientific: exponent !== undefined,
  }
}

/**
 * The number that decimal digits stand for; undefined for all else: JavaScript reads 31 in `0x1F`, 1000 in `1e3` and 0
 * in nothing, which nobody means who gives a port.
 */
export function readDigits(text: string): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(number) ? number : undefined
}

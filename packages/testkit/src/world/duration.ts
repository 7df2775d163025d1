/** A span of virtual time: milliseconds, or a number with a unit, such as `15m`, `1.5h`, `200ms`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

export function toMs(duration: Duration): number {
  if (typeof duration === 'number' && Number.isFinite(duration)) return duration
  const match = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration))
  if (!match) throw new RangeError(`'${duration}' is no duration: write a number and ms, s, m, h or d, as in '15m'`)
  return Number(match[1]) * units[match[2] as keyof typeof units] // the pattern allows no other
}

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

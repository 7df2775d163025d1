import { AtollError, type Host, type LogFields, type Logger } from '@atoll/host'

/**
 * A logger for what is tried again: a fault that goes on is told at once, and then at growing intervals, with how often it came (`times`).
 * What is tried ten times a second for hours would else hide everything beside it. Faults are told apart by message and code.
 */
export function createFaultLogger(logger: Logger, host: Host): Pick<Logger, 'warn' | 'error'> {
  const known = new Map<string, Fault>()

  function tell(level: 'warn' | 'error', fields: LogFields, message: string): void {
    const now = host.monotonicMs()
    const kind = `${message} ${fields['error'] === undefined ? '' : AtollError.from(fields['error']).code}`
    const fault = known.get(kind)
    if (!fault || now - fault.lastMs >= FORGOTTEN_MS) {
      known.set(kind, { toldMs: now, lastMs: now, times: 0, intervalMs: INTERVAL_MS })
      return logger[level](fields, message)
    }
    fault.lastMs = now
    fault.times++
    if (now - fault.toldMs < fault.intervalMs) return
    logger[level]({ ...fields, times: fault.times }, message)
    Object.assign(fault, { toldMs: now, times: 0, intervalMs: Math.min(2 * fault.intervalMs, INTERVAL_MS_MAX) })
  }
  return { warn: (fields, message) => tell('warn', fields, message), error: (fields, message) => tell('error', fields, message) }
}

interface Fault {
  toldMs: number
  lastMs: number
  /** Since it was told. */
  times: number
  intervalMs: number
}

/** How long the second telling waits. */
const INTERVAL_MS = 10_000
const INTERVAL_MS_MAX = 10 * 60_000
/** What has not come for so long is over; the next of its kind is told at once. */
const FORGOTTEN_MS = 2 * 60_000

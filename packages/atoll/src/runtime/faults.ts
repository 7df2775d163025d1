import { AtollError, type Host, type LogFields, type Logger } from '@atoll/host'

/**
 * A logger for what is tried again: a fault that goes on is told at once, and then at growing intervals, with how often
 * it came (`times`). What is tried ten times a second for hours would else hide everything beside it. Faults are told
 * apart by message and code; another cause of the same is told soon.
 */
export function createFaultLogger(logger: Logger, host: Host): Pick<Logger, 'warn' | 'error'> {
  const known = new Map<string, Fault>()

  function tell(level: 'warn' | 'error', fields: LogFields, message: string): void {
    const now = host.monotonicMs()
    const error = fields['error'] === undefined ? undefined : AtollError.from(fields['error'])
    const kind = `${message} ${error?.code ?? ''}`
    const cause = error?.message.replace(/\d+/g, '#') ?? '' // how many, and how long, is no other cause
    const fault = known.get(kind)
    if (!fault || now - fault.lastMs >= FORGOTTEN_MS) {
      known.set(kind, { toldMs: now, lastMs: now, times: 0, intervalMs: INTERVAL_MS, cause })
      return logger[level](fields, message)
    }
    fault.lastMs = now
    fault.times++
    const isNew = cause !== fault.cause
    if (now - fault.toldMs < (isNew ? INTERVAL_MS : fault.intervalMs)) return
    logger[level]({ ...fields, times: fault.times }, message)
    Object.assign(fault, {
      toldMs: now,
      times: 0,
      intervalMs: isNew ? INTERVAL_MS : Math.min(2 * fault.intervalMs, INTERVAL_MS_MAX),
      cause,
    })
  }
  return {
    warn: (fields, message) => tell('warn', fields, message),
    error: (fields, message) => tell('error', fields, message),
  }
}

interface Fault {
  toldMs: number
  lastMs: number
  /** Since it was told. */
  times: number
  intervalMs: number
  /** What it was told with. */
  cause: string
}

/** How long the second telling waits. */
const INTERVAL_MS = 10_000
const INTERVAL_MS_MAX = 10 * 60_000
/** What has not come for so long is over; the next of its kind is told at once. */
const FORGOTTEN_MS = 2 * 60_000

import type { Phase, Point } from '../world/passage.ts'
import type { Thrown } from './thrown.ts'

/**
 * Something that goes wrong in a run. Each says by itself when and where, so that a list of faults can be shrunk,
 * printed and replayed. `nth` counts the passages of a point by a service from the moment when faults begin; times are
 * milliseconds from there.
 */
export type Fault =
  /**
   * An instance is gone in the midst of what it does. Another takes its place after `downMs`, under the same name or
   * another.
   */
  | {
      readonly kind: 'crash'
      readonly service: string
      readonly point: Point
      readonly phase: Phase
      readonly nth: number
      readonly downMs: number
      readonly renamed: boolean
    }
  /**
   * As soon as an instance has come back from a crash, it is told to stop, at its `nthAfterCrash` passage of a point
   * since then; and comes back `downMs` after it has stopped.
   */
  | {
      readonly kind: 'drain'
      readonly service: string
      readonly point: Point
      readonly nthAfterCrash: number
      readonly downMs: number
    }
  /**
   * The power goes: every service and the gateway are gone at once, with what they had not committed. The log keeps
   * what it was given.
   */
  | { readonly kind: 'power'; readonly atMs: number; readonly downMs: number }
  /** The log or the store fails `times` times: `after` means that it did what it was asked, and the answer was lost. */
  | {
      readonly kind: 'failure'
      readonly service: string
      readonly point: 'append' | 'read' | 'commit'
      readonly phase: Phase
      readonly nth: number
      readonly times: number
    }
  | {
      readonly kind: 'delay'
      readonly service: string
      readonly point: 'append' | 'read' | 'commit' | 'handle'
      readonly nth: number
      readonly ms: number
    }
  /**
   * A service's stores, the log, or both take a while to answer, each time another, `msMax` at the most: what is read
   * may be out of date when it comes, and much happens before a commit is known of.
   */
  | {
      readonly kind: 'latency'
      readonly service: string
      readonly slow: readonly ('stores' | 'log')[]
      readonly atMs: number
      readonly forMs: number
      readonly msMax: number
    }
  /** An append reaches the log twice. */
  | { readonly kind: 'repeat'; readonly service: string; readonly nth: number; readonly ms: number }
  /** A handler throws `times` times; by default an error. */
  | {
      readonly kind: 'error'
      readonly service: string
      readonly nth: number
      readonly times: number
      readonly thrown?: Thrown
    }
  /** A handler throws whenever it meets this event, until all the rest has settled; by default an error. */
  | { readonly kind: 'poison'; readonly service: string; readonly nth: number; readonly thrown?: Thrown }
  /**
   * A handler ends its process whenever it meets this event, until all the rest has settled. Each time it is started
   * again after `downMs`.
   */
  | {
      readonly kind: 'fatal'
      readonly service: string
      readonly phase: 'before' | 'during'
      readonly nth: number
      readonly downMs: number
    }
  /** An instance does nothing for a while, and does not know. */
  | { readonly kind: 'pause'; readonly service: string; readonly atMs: number; readonly forMs: number }
  /** The wall clock of a service jumps. */
  | { readonly kind: 'clock'; readonly service: string; readonly atMs: number; readonly byMs: number }
  /** A second instance joins for a while. */
  | { readonly kind: 'second'; readonly service: string; readonly atMs: number; readonly forMs: number }
  /** A service is drained and ended, and comes back. */
  | { readonly kind: 'stop'; readonly service: string; readonly atMs: number; readonly forMs: number }
  /** The power goes, and parts come back from backups of earlier moments. Drawn only for simulations that name it. */
  | {
      readonly kind: 'restore'
      readonly atMs: number
      readonly parts: readonly RestoredPart[]
      readonly downMs: number
    }
  /** The next version of the system takes over. */
  | { readonly kind: 'deploy'; readonly atMs: number }

/** A service, a projection (`mail.counts`) or the `log`, as it was at a moment. */
export interface RestoredPart {
  readonly name: string
  /** Milliseconds since faults began, as the `atMs` of a fault. */
  readonly momentMs: number
}

export type FaultKind = Fault['kind']
/** Those that happen at a passage of a point. */
export type PassageFault = Extract<Fault, { nth: number }>
/** Those that happen at a time. */
export type TimedFault = Extract<Fault, { atMs: number }>

/** In words, for people. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case 'crash':
      return `${fault.service} crashes ${fault.phase} its ${nth(fault.nth)} ${fault.point}, and is back ${fault.downMs} ms later${fault.renamed ? ' under another name' : ''}`
    case 'drain':
      return `${fault.service} is told to stop at its ${nth(fault.nthAfterCrash)} ${fault.point} after a crash, and is back ${fault.downMs} ms after it has stopped`
    case 'power':
      return `the power goes at ${fault.atMs} ms, for ${fault.downMs} ms`
    case 'failure':
      return `${fault.service}: ${fault.times} × ${fault.point} fails ${fault.phase} its effect, from the ${nth(fault.nth)} on`
    case 'delay':
      return `${fault.service}: the ${nth(fault.nth)} ${fault.point} takes ${fault.ms} ms longer`
    case 'latency':
      return `${fault.service}: from ${fault.atMs} ms on, for ${fault.forMs} ms, ${fault.slow.join(' and ')} take up to ${fault.msMax} ms to answer`
    case 'repeat':
      return `${fault.service}: its ${nth(fault.nth)} append arrives again ${fault.ms} ms later`
    case 'error':
      return `${fault.service}: a handler throws ${fault.thrown ?? 'an error'} ${fault.times} times, from the ${nth(fault.nth)} try on`
    case 'poison':
      return `${fault.service}: the event of the ${nth(fault.nth)} try is poison, and ${fault.thrown ?? 'an error'} is thrown`
    case 'fatal':
      return `${fault.service}: the event of the ${nth(fault.nth)} try ends the process ${fault.phase} its effect, which is back ${fault.downMs} ms later`
    case 'pause':
      return `${fault.service} is paused at ${fault.atMs} ms, for ${fault.forMs} ms`
    case 'clock':
      return `${fault.service}: the wall clock jumps by ${fault.byMs} ms at ${fault.atMs} ms`
    case 'second':
      return `${fault.service} has a second instance from ${fault.atMs} ms on, for ${fault.forMs} ms`
    case 'stop':
      return `${fault.service} is stopped at ${fault.atMs} ms, for ${fault.forMs} ms`
    case 'restore':
      return `the power goes at ${fault.atMs} ms, for ${fault.downMs} ms, and ${fault.parts.map(({ name, momentMs }) => `${name} comes back as it was at ${momentMs} ms`).join(', ')}`
    case 'deploy':
      return `the next version is deployed at ${fault.atMs} ms`
  }
}

function nth(number: number): string {
  const last = number % 10
  const isTeen = Math.floor(number / 10) % 10 === 1
  return `${number}${isTeen ? 'th' : last === 1 ? 'st' : last === 2 ? 'nd' : last === 3 ? 'rd' : 'th'}`
}

import type { Host } from '@atoll/host'
import type { Actor } from './actor.ts'

/**
 * Where something can go wrong: a transaction of a store (commands, cursors, leases, the relay's tidying, timers are
 * all transactions), a read of it beside transactions (`load`), an append to the log, a read of it, a question how far
 * it has got (`tail`), a try of a handler, a call of another service.
 */
export type Point = 'commit' | 'load' | 'append' | 'read' | 'tail' | 'handle' | 'call'

/** Before it has any effect; with the effect under way and not yet lasting; when it lasts and nobody has been told. */
export type Phase = 'before' | 'during' | 'after'

/** What goes wrong at one passage of a {@link Point}. */
export interface Mishap {
  /** It takes so much longer until it has its effect, milliseconds. */
  readonly delayMs?: number
  /**
   * Its answer takes so much longer, milliseconds: meanwhile others see the effect, and what was read may be out of
   * date.
   */
  readonly answerDelayMs?: number
  /**
   * The instance is gone, as a process that is killed, or runs out of memory: with all that it has not committed, and
   * without a word to anybody.
   */
  readonly crash?: Phase
  /**
   * After a crash: its supervisor starts it anew so many milliseconds later. Without it, it is down until somebody
   * starts it.
   */
  readonly restartMs?: number
  /**
   * It fails with this, which may be anything if a handler fails; `during` means that the effect is undone, `after`
   * that it lasts all the same.
   */
  readonly fail?: { readonly phase: Phase; readonly error: unknown }
  /** It arrives a second time, so many milliseconds later. */
  readonly repeatMs?: number
}

/** One instance of a service, as ports see it. */
export interface Passenger {
  readonly actor: Actor
  readonly service: string
  /** Of what goes on without it: what is on its way arrives, also when its sender is gone. */
  readonly surroundings: Host
  /**
   * It passes a point: what goes wrong this time? `subject` says of a `handle` which event it is, and in which
   * subscription.
   */
  passes(point: Point, subject?: string): Mishap | undefined
  /** It is gone; and comes back after so long, if at all. */
  crash(restartMs?: number): void
}

/** Runs `effect` with a mishap: delays it, fails it, or ends the instance around it. */
export async function suffer<T>(
  passenger: Passenger,
  mishap: Mishap,
  effect: (during: () => void) => Promise<T>,
): Promise<T> {
  const { actor } = passenger
  const strike = (phase: Phase): void => {
    if (mishap.crash === phase) passenger.crash(mishap.restartMs)
    if (actor.isDead) throw gone
    if (mishap.fail?.phase === phase) throw mishap.fail.error
  }
  if (mishap.delayMs) await lasting(actor, mishap.delayMs)
  strike('before')
  const result = await effect(() => strike('during'))
  strike('after')
  if (mishap.answerDelayMs) await lasting(actor, mishap.answerDelayMs)
  return result
}

/** Lets time go by for an instance. */
export function lasting(actor: Actor, ms: number): Promise<void> {
  return new Promise((resolve) => void actor.host.after(ms, resolve))
}

/** Undoes what a dead instance had under way; nobody is left to hear it. */
export const gone = new Error('this instance is gone')

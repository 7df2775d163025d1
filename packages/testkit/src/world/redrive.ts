import { AtollError, type Host } from '@atoll/host'
import {
  discardEach,
  isGone,
  redriveEach,
  type Admin,
  type DeadLetter,
  type DeadLetterFilter,
  type DiscardedLetter,
  type DiscardOptions,
  type RedriveOptions,
  type RedriveOutcome,
} from 'atoll/runtime'
import type { Fleet } from './fleet.ts'
import type { Looker } from './looker.ts'

/** What it takes to ask the instance that reads a partition. */
export interface Asking {
  readonly looker: Looker
  readonly fleet: Fleet
  readonly host: Host
  readonly leaseMs: number
}

/** Redrives dead letters, or the one that is asked for. COMMAND_USAGE if there is none of that id. */
export async function redriveLetters(options: RedriveOptions, asking: Asking): Promise<RedriveOutcome[]> {
  const { subscription, id, dryRun } = options
  const outcomes = redriveEach(
    lettersOf(asking, { subscription, id }),
    options,
    (letter) => askReader(letter.subscription, asking, (admin) => admin.redrive({ id: letter.id, dryRun })),
    (one) => findDiscarded(asking, one),
  )
  return (await Array.fromAsync(outcomes)).filter((outcome) => !isGone(outcome))
}

/** Discards the dead letter that is asked for, or all of a subscription. COMMAND_USAGE if there is none of that id. */
export async function discardLetters(options: DiscardOptions, asking: Asking): Promise<DiscardedLetter[]> {
  const { id, subscription, reason, by } = options
  const discarded = discardEach(
    lettersOf(asking, { subscription, id }),
    options,
    (letter) => askReader(letter.subscription, asking, (admin) => admin.discard({ id: letter.id, reason, by })),
    (one) => findDiscarded(asking, one),
  )
  return (await Array.fromAsync(discarded)).filter((letter): letter is DiscardedLetter => !isGone(letter))
}

function findDiscarded({ looker }: Asking, id: string): Promise<DiscardedLetter[]> {
  return looker.look((admin) => admin.discarded({ id }))
}

async function* lettersOf({ looker }: Asking, filter: DeadLetterFilter): AsyncGenerator<DeadLetter> {
  yield* await looker.look((admin) => admin.deadLetters(filter))
}

/**
 * Asks that instance which reads the partition in question. If none does yet, after a crash, one will when the lease
 * has run out. UNAVAILABLE if none comes to.
 */
async function* askReader<Item>(
  subscription: string,
  { fleet, host, leaseMs }: Asking,
  ask: (admin: Admin) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const [service = subscription] = subscription.split('.')
  const untilMs = host.monotonicMs() + 2 * leaseMs
  for (;;) {
    let refusal = new AtollError(
      'UNAVAILABLE',
      `nobody can be asked for ${subscription}: no instance of ${service} is up`,
    )
    for (const { actor, running, isUp } of fleet.of(service)) {
      if (!isUp) continue
      try {
        const died = new Promise<never>((_, reject) =>
          actor.onDeath.add(() =>
            reject(new AtollError('UNAVAILABLE', `${actor.name} has ended while it was asked for ${subscription}`)),
          ),
        )
        died.catch(() => undefined) // it may die when all is done
        // Its handlers are code of the instance: what ends a process ends it, and not the test.
        return yield* await Promise.race([died, actor.within(() => Array.fromAsync(ask(running!.admin)))])
      } catch (error) {
        refusal = AtollError.from(error)
        if (refusal.code !== 'UNAVAILABLE') throw refusal
      }
    }
    if (!fleet.isUp(service) || host.monotonicMs() >= untilMs) throw refusal
    await new Promise<void>((resolve) => host.after(leaseMs / LOOKS, resolve))
  }
}

/** How often one looks in the time of a lease. */
const LOOKS = 10

import { AtollError, type Host } from '@atoll/host'
import type { DeadLetter, RedriveOptions, RedriveOutcome } from 'atoll/runtime'
import type { Fleet } from './fleet.ts'

/** Redrives dead letters, or the one that is asked for. COMMAND_USAGE if there is none of that id. */
export async function redriveLetters(letters: readonly DeadLetter[], { id, dryRun }: RedriveOptions, fleet: Fleet, host: Host, leaseMs: number): Promise<RedriveOutcome[]> {
  const wanted = id === undefined ? letters : letters.filter((letter) => letter.id === id)
  if (id !== undefined && wanted.length === 0) throw new AtollError('COMMAND_USAGE', `there is no dead letter ${id}; world.deadLetters() lists what there is`)
  const outcomes: RedriveOutcome[] = []
  for (const letter of wanted) outcomes.push(...(await redriveOne(letter, dryRun, fleet, host, leaseMs)))
  return outcomes
}

/**
 * Redrives a dead letter by that instance which reads its partition. If none does yet, after a crash, one will when the lease has run out.
 * UNAVAILABLE if none comes to.
 */
async function redriveOne({ subscription, id }: DeadLetter, dryRun: boolean | undefined, fleet: Fleet, host: Host, leaseMs: number): Promise<RedriveOutcome[]> {
  const [service = subscription] = subscription.split('.')
  const untilMs = host.monotonicMs() + 2 * leaseMs
  for (;;) {
    let refusal = new AtollError('UNAVAILABLE', `${subscription} cannot redrive: no instance of ${service} is up`)
    for (const { actor, running, isUp } of fleet.of(service)) {
      if (!isUp) continue
      try {
        const died = new Promise<never>((_, reject) => actor.onDeath.add(() => reject(new AtollError('UNAVAILABLE', `${actor.name} has ended while it redrove ${id}`))))
        died.catch(() => undefined) // it may die when all is done
        // Its handlers are code of the instance: what ends a process ends it, and not the test.
        return await Promise.race([died, actor.within(() => Array.fromAsync(running!.admin.redrive({ subscription, id, dryRun })))])
      } catch (error) {
        refusal = AtollError.from(error)
        if (refusal.code === 'COMMAND_USAGE') return [] // it was redriven with one before it
        if (refusal.code !== 'UNAVAILABLE') throw refusal
      }
    }
    if (!fleet.isUp(service) || host.monotonicMs() >= untilMs) throw refusal
    await new Promise<void>((resolve) => host.after(leaseMs / LOOKS, resolve))
  }
}

/** How often one looks in the time of a lease. */
const LOOKS = 10

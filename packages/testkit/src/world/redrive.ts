import { AtollError, type Host } from '@atoll/host'
import type { Admin, DiscardedLetter, DiscardOptions, RedriveOptions, RedriveOutcome } from 'atoll/runtime'
import { spareProcess } from 'atoll/runtime'
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
export async function redriveLetters({ subscription, id, dryRun }: RedriveOptions, asking: Asking): Promise<RedriveOutcome[]> {
  const letters = await asking.looker.look((admin) => admin.deadLetters({ subscription }))
  const wanted = id === undefined ? letters : letters.filter((letter) => letter.id === id)
  if (id !== undefined && wanted.length === 0) throw new AtollError('COMMAND_USAGE', `there is no dead letter ${id}; world.deadLetters() lists what there is`)
  const outcomes: RedriveOutcome[] = []
  for (const letter of wanted) {
    const spared = spareProcess(letter, { id, dryRun })
    if (spared) {
      outcomes.push(spared)
      continue
    }
    try {
      outcomes.push(...(await askReader(letter.subscription, asking, (admin) => admin.redrive({ subscription: letter.subscription, id: letter.id, dryRun }))))
    } catch (error) {
      if (AtollError.from(error).code !== 'COMMAND_USAGE') throw error // it was redriven with one before it
    }
  }
  return outcomes
}

/** Discards the dead letter that is asked for, or all of a subscription. COMMAND_USAGE if there is none of that id. */
export async function discardLetters({ id, subscription, reason, by }: DiscardOptions, asking: Asking): Promise<DiscardedLetter[]> {
  const [service] = (id ?? '').split('/') as [string]
  if (subscription === undefined) return askReader(service, asking, (admin) => admin.discard({ id, reason, by }))
  const discarded: DiscardedLetter[] = []
  for (const letter of await asking.looker.look((admin) => admin.deadLetters({ subscription }))) {
    discarded.push(...(await askReader(subscription, asking, (admin) => admin.discard({ id: letter.id, reason, by }))))
  }
  return discarded
}

/**
 * Asks that instance which reads the partition in question. If none does yet, after a crash, one will when the lease has run out. UNAVAILABLE if
 * none comes to.
 */
async function askReader<Item>(subscription: string, { fleet, host, leaseMs }: Asking, ask: (admin: Admin) => AsyncIterable<Item>): Promise<Item[]> {
  const [service = subscription] = subscription.split('.')
  const untilMs = host.monotonicMs() + 2 * leaseMs
  for (;;) {
    let refusal = new AtollError('UNAVAILABLE', `nobody can be asked for ${subscription}: no instance of ${service} is up`)
    for (const { actor, running, isUp } of fleet.of(service)) {
      if (!isUp) continue
      try {
        const died = new Promise<never>((_, reject) => actor.onDeath.add(() => reject(new AtollError('UNAVAILABLE', `${actor.name} has ended while it was asked for ${subscription}`))))
        died.catch(() => undefined) // it may die when all is done
        // Its handlers are code of the instance: what ends a process ends it, and not the test.
        return await Promise.race([died, actor.within(() => Array.fromAsync(ask(running!.admin)))])
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

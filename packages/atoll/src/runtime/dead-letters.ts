import { AtollError } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import type { DeadLetter, RedriveOptions, RedriveOutcome } from './admin.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import type { Subscription } from './subscription/subscription.ts'

const selectDead: Statement = {
  sql: `SELECT dead.*, (SELECT count(*) FROM atoll_held AS behind WHERE behind.subscription = dead.subscription AND behind.partition = dead.partition
          AND behind.key = dead.key AND behind.seq > dead.seq) AS parked_behind
        FROM atoll_held AS dead WHERE dead.subscription = ? AND dead.state = 'dead' ORDER BY dead.seq`,
}

interface DeadRow {
  partition: number
  key: string
  attempts: number
  changed_at: number
  error_code: string
  error_message: string
  error_stack: string
  source: string
  number: number
  id: string
  type: string
  version: number
  at: number
  data: string
  trace: string
  parked_behind: number
}

/** Every dead letter of a system, or of one of its subscriptions, oldest first. */
export async function listDeadLetters(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for (const subscription of subscriptionsOf(services, name)) {
    for (const row of await subscription.ground.store.reader.all<DeadRow>(selectDead, [subscription.ground.name])) {
      letters.push(toDeadLetter(subscription.ground.name, row))
    }
  }
  return letters
}

/** Handles dead letters again, key by key. */
export async function* redriveDeadLetters(services: ReadonlyMap<string, ServiceRuntime>, options: RedriveOptions): AsyncGenerator<RedriveOutcome> {
  const letters = (await listDeadLetters(services, options.subscription)).filter((letter) => options.id === undefined || letter.id === options.id)
  if (letters.length === 0 && options.id !== undefined) throw new AtollError('COMMAND_USAGE', `there is no dead letter ${options.id}; \`atoll dead-letters\` lists what there is`)
  for (const { subscription, event } of letters) {
    const [reading] = subscriptionsOf(services, subscription)
    const outcomes: RedriveOutcome[] = []
    await reading!.redrive(event.partition, event.key, options.dryRun ?? false, (outcome) => outcomes.push(outcome))
    yield* outcomes
  }
}

/** The subscriptions of a system, or the one of that name. COMMAND_USAGE, with what there is, if there is none. */
export function subscriptionsOf(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Subscription[] {
  const all = [...services.values()].flatMap((service) => [...service.subscriptions.values()])
  if (name === undefined) return all
  const found = all.filter((subscription) => subscription.ground.name === name)
  if (found.length > 0) return found
  throw new AtollError('COMMAND_USAGE', `there is no subscription ${name}; there are ${all.map((subscription) => subscription.ground.name).join(', ')}`)
}

function toDeadLetter(subscription: string, row: DeadRow): DeadLetter {
  const { id, type, version, key, source, partition, number, at, data, trace } = row
  return {
    id: `${subscription}/${source}/${partition}/${number}`,
    subscription,
    event: { id, type, version, key, source, partition, number, at, data, trace },
    attempts: row.attempts,
    error: { code: row.error_code, message: row.error_message, stack: row.error_stack },
    diedAt: row.changed_at,
    parkedBehind: row.parked_behind,
  }
}

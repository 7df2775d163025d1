import { AtollError, type Host } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import type { DeadLetter, DiscardedLetter, DiscardOptions, RedriveOptions, RedriveOutcome } from './admin.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import { nameOf } from './subscription/discarded.ts'
import type { Subscription } from './subscription/subscription.ts'

const selectDead: Statement = {
  sql: `SELECT dead.*, (SELECT count(*) FROM atoll_held AS behind WHERE behind.subscription = dead.subscription AND behind.partition = dead.partition
          AND behind.key = dead.key AND behind.seq > dead.seq) AS parked_behind
        FROM atoll_held AS dead WHERE dead.subscription = ? AND dead.state = 'dead' ORDER BY dead.seq`,
}
const selectDiscarded: Statement = { sql: 'SELECT * FROM atoll_discarded WHERE subscription = ? ORDER BY discarded_at, source, partition, number' }

interface LetterRow {
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
}

interface DeadRow extends LetterRow {
  parked_behind: number
}

interface DiscardedRow extends LetterRow {
  discarded_at: number
  discarded_by: string
  reason: string
}

/** Every dead letter of a system, or of one of its subscriptions, oldest first. */
export async function listDeadLetters(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for (const { ground } of subscriptionsOf(services, name)) {
    for (const row of await ground.store.reader.all<DeadRow>(selectDead, [ground.name])) {
      letters.push({ ...toLetter(ground.name, row), parkedBehind: row.parked_behind, left: !ground.subscribers.has(row.type) })
    }
  }
  return letters
}

/** Every discarded letter of a system, or of one of its subscriptions, oldest first. */
export async function listDiscarded(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Promise<DiscardedLetter[]> {
  const letters: DiscardedLetter[] = []
  for (const { ground } of subscriptionsOf(services, name)) {
    for (const row of await ground.store.reader.all<DiscardedRow>(selectDiscarded, [ground.name])) {
      letters.push({ ...toLetter(ground.name, row), discardedAt: row.discarded_at, by: row.discarded_by, reason: row.reason })
    }
  }
  return letters
}

/** Handles dead letters again, key by key. One whose tries ended the process would end this one: it is tried only if it is named, and never dry. */
export async function* redriveDeadLetters(services: ReadonlyMap<string, ServiceRuntime>, options: RedriveOptions): AsyncGenerator<RedriveOutcome> {
  const letters = (await listDeadLetters(services, options.subscription)).filter((letter) => options.id === undefined || letter.id === options.id)
  if (letters.length === 0 && options.id !== undefined) throw new AtollError('COMMAND_USAGE', `there is no dead letter ${options.id}; \`atoll dead-letters\` lists what there is`)
  for (const letter of letters) {
    const spared = spareProcess(letter, options)
    if (spared) {
      yield spared
      continue
    }
    const { subscription, event } = letter
    const [reading] = subscriptionsOf(services, subscription)
    const outcomes: RedriveOutcome[] = []
    await reading!.redrive(event.partition, event.key, options.dryRun ?? false, (outcome) => outcomes.push(outcome))
    yield* outcomes
  }
}

/** What becomes of a letter that is not tried, because its tries ended the process: that takes somebody who names it, and is never done dry. Undefined for others. */
export function spareProcess({ id, subscription, event, error }: DeadLetter, { id: named, dryRun }: RedriveOptions): RedriveOutcome | undefined {
  if (error.code !== 'PROCESS_ENDED' || (named === id && !dryRun)) return undefined
  const why = `a try of it ended the process, and would end this one. Mend its handler; then redrive ${id} by name, and not dry`
  return { subscription, eventId: event.id, type: event.type, key: event.key, was: 'dead', outcome: 'waiting', error: why }
}

/** Ends dead letters without handling them: one, or all of a subscription. */
export async function* discardDeadLetters(services: ReadonlyMap<string, ServiceRuntime>, host: Host, { id, subscription, reason, by }: DiscardOptions): AsyncGenerator<DiscardedLetter> {
  if ((id === undefined) === (subscription === undefined)) throw new AtollError('COMMAND_USAGE', 'say which dead letter to discard, by its id; or, to discard all of a subscription, which')
  for (const [what, text] of [['a reason', reason], ['a name', by]] as const) {
    if (!isStorable(text)) throw new AtollError('COMMAND_USAGE', `a dead letter is discarded with ${what} of 1 to ${TEXT_CHARS_MAX} characters, U+0000 not among them: it is kept, for whoever asks later`)
  }
  const letters = (await listDeadLetters(services, subscription)).filter((letter) => id === undefined || letter.id === id)
  if (letters.length === 0 && id !== undefined) throw await noSuchLetter(services, id)
  for (const { parkedBehind, left, ...letter } of letters) {
    const [reading] = subscriptionsOf(services, letter.subscription)
    const note = { at: host.now(), by, reason }
    await reading!.discard(letter.event, note)
    reading!.ground.logger.warn({ subscription: letter.subscription, event: letter.event.id, key: letter.event.key, by, reason }, `${letter.id} was discarded: it will never be handled`)
    yield { ...letter, discardedAt: note.at, by, reason }
  }
}

async function noSuchLetter(services: ReadonlyMap<string, ServiceRuntime>, id: string): Promise<AtollError> {
  const discarded = (await listDiscarded(services)).find((letter) => letter.id === id)
  if (discarded) return new AtollError('COMMAND_USAGE', `${id} was discarded already, by ${discarded.by} at ${new Date(discarded.discardedAt).toISOString()}: ${discarded.reason}`)
  return new AtollError('COMMAND_USAGE', `there is no dead letter ${id}; \`atoll dead-letters\` lists what there is. An event that is parked, or will be tried again, cannot be discarded`)
}

/** The subscriptions of a system, or the one of that name. COMMAND_USAGE, with what there is, if there is none. */
function subscriptionsOf(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Subscription[] {
  const all = [...services.values()].flatMap((service) => [...service.subscriptions.values()])
  if (name === undefined) return all
  const found = all.filter((subscription) => subscription.ground.name === name)
  if (found.length > 0) return found
  throw new AtollError('COMMAND_USAGE', `there is no subscription ${name}; there are ${all.map((subscription) => subscription.ground.name).join(', ')}`)
}

function toLetter(subscription: string, row: LetterRow): Omit<DeadLetter, 'parkedBehind' | 'left'> {
  const { id, type, version, key, source, partition, number, at, data, trace } = row
  return {
    id: nameOf(subscription, row),
    subscription,
    event: { id, type, version, key, source, partition, number, at, data, trace },
    attempts: row.attempts,
    error: { code: row.error_code, message: row.error_message, stack: row.error_stack },
    diedAt: row.changed_at,
  }
}

function isStorable(text: unknown): boolean {
  return typeof text === 'string' && text.trim() !== '' && text.length <= TEXT_CHARS_MAX && text.isWellFormed() && !text.includes('\0')
}

const TEXT_CHARS_MAX = 1_000

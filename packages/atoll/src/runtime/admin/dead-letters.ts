import { AtollError } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import type { DeadLetter, DeadLetterFilter, DiscardedLetter, GoneLetter } from '../admin.ts'
import type { ServiceRuntime } from '../service/service-runtime.ts'
import { nameOf, placeNamed, type HeldPlace } from '../subscription/discarded.ts'
import type { SubscriptionGround } from '../subscription/ground.ts'
import type { Subscription } from '../subscription/subscription.ts'

const letter = `dead.*, (SELECT count(*) FROM atoll_held AS behind WHERE behind.subscription = dead.subscription AND behind.partition = dead.partition
          AND behind.key = dead.key AND behind.seq > dead.seq) AS parked_behind`
const selectPlaces: Statement = {
  sql: `SELECT seq, source, partition, number FROM atoll_held WHERE subscription = ? AND state = 'dead' ORDER BY seq`,
}
const selectPage: Statement = {
  sql: `SELECT ${letter} FROM atoll_held AS dead WHERE seq BETWEEN ? AND ? AND subscription = ? AND state = 'dead' ORDER BY seq`,
}
const selectOne: Statement = {
  sql: `SELECT ${letter} FROM atoll_held AS dead WHERE subscription = ? AND source = ? AND partition = ? AND number = ? AND state = 'dead'`,
}
const selectDiscarded: Statement = {
  sql: `SELECT * FROM atoll_discarded WHERE subscription = ? AND (discarded_at, source, partition, number) > (?, ?, ?, ?) ORDER BY discarded_at, source, partition, number LIMIT ?`,
}
const selectOneDiscarded: Statement = {
  sql: 'SELECT * FROM atoll_discarded WHERE subscription = ? AND source = ? AND partition = ? AND number = ?',
}

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
  seq: number
  parked_behind: number
}

interface DiscardedRow extends LetterRow {
  discarded_at: number
  discarded_by: string
  reason: string
}

/** Every dead letter of a system, of one of its subscriptions, or the one of an id; oldest first. */
export async function listDeadLetters(
  services: ReadonlyMap<string, ServiceRuntime>,
  filter: DeadLetterFilter,
): Promise<DeadLetter[]> {
  return (await Array.fromAsync(walkDeadLetters(services, filter))).filter(
    (letter): letter is DeadLetter => !isGone(letter),
  )
}

/**
 * The same one by one, and no more than a page of them in memory: those that there are when it begins, also such as are
 * gone when it comes to them, and none that died since.
 */
export async function* walkDeadLetters(
  services: ReadonlyMap<string, ServiceRuntime>,
  { subscription, id }: DeadLetterFilter,
): AsyncGenerator<DeadLetter | GoneLetter> {
  if (id !== undefined) {
    const letter = await findDeadLetter(services, id)
    if (letter && (subscription === undefined || subscription === letter.subscription)) yield letter
    return
  }
  for (const { ground } of subscriptionsOf(services, subscription)) {
    const { reader } = ground.store
    const places = await reader.all<Pick<DeadRow, 'seq' | 'source' | 'partition' | 'number'>>(selectPlaces, [
      ground.name,
    ])
    for (let at = 0; at < places.length; at += PAGE_ROWS) {
      const page = places.slice(at, at + PAGE_ROWS)
      // a page has one at least
      const rows = await reader.all<DeadRow>(selectPage, [page[0]!.seq, page[page.length - 1]!.seq, ground.name])
      const bySeq = new Map(rows.map((row) => [row.seq, row]))
      for (const place of page) {
        const row = bySeq.get(place.seq)
        yield row
          ? toDeadLetter(ground, row)
          : {
              outcome: 'gone',
              id: nameOf(ground.name, place),
              subscription: ground.name,
              why: 'it was handled or discarded meanwhile',
            }
      }
    }
  }
}

async function findDeadLetter(
  services: ReadonlyMap<string, ServiceRuntime>,
  id: string,
): Promise<DeadLetter | undefined> {
  const place = placeNamed(id)
  const ground =
    place && allSubscriptions(services).find((subscription) => subscription.ground.name === place.subscription)?.ground
  const row =
    ground &&
    (await ground.store.reader.get<DeadRow>(selectOne, [
      place.subscription,
      place.source,
      place.partition,
      place.number,
    ]))
  return row && toDeadLetter(ground, row)
}

/** Whether a letter was there when it was asked for, and is no more. */
export function isGone(item: object): item is GoneLetter {
  return 'outcome' in item && item.outcome === 'gone'
}

/** Every discarded letter of a system, of one of its subscriptions, or the one of an id; oldest first. */
export function listDiscarded(
  services: ReadonlyMap<string, ServiceRuntime>,
  filter: DeadLetterFilter,
): Promise<DiscardedLetter[]> {
  return Array.fromAsync(walkDiscarded(services, filter))
}

/** The same one by one, and no more than a page of them in memory. */
export async function* walkDiscarded(
  services: ReadonlyMap<string, ServiceRuntime>,
  { subscription, id }: DeadLetterFilter,
): AsyncGenerator<DiscardedLetter> {
  const place = id === undefined ? undefined : placeNamed(id)
  if (id !== undefined && !place) return
  for (const { ground } of subscriptionsOf(services, subscription)) {
    const { name, store } = ground
    if (place) {
      const row =
        place.subscription === name &&
        (await store.reader.get<DiscardedRow>(selectOneDiscarded, [name, place.source, place.partition, place.number]))
      if (row) yield toDiscardedLetter(name, row)
      continue
    }
    let last: (string | number)[] = [0, '', 0, 0]
    for (;;) {
      const rows = await store.reader.all<DiscardedRow>(selectDiscarded, [name, ...last, PAGE_ROWS])
      for (const row of rows) yield toDiscardedLetter(name, row)
      const end = rows.at(-1)
      if (!end) break
      last = [end.discarded_at, end.source, end.partition, end.number]
    }
  }
}

/** The subscriptions of a system, or the one of that name. COMMAND_USAGE, with what there is, if there is none. */
export function subscriptionsOf(services: ReadonlyMap<string, ServiceRuntime>, name?: string): Subscription[] {
  const all = allSubscriptions(services)
  if (name === undefined) return all
  const found = all.filter((subscription) => subscription.ground.name === name)
  if (found.length > 0) return found
  throw new AtollError(
    'COMMAND_USAGE',
    `there is no subscription ${name}; there are ${all.map((subscription) => subscription.ground.name).join(', ')}`,
  )
}

function allSubscriptions(services: ReadonlyMap<string, ServiceRuntime>): Subscription[] {
  return [...services.values()].flatMap((service) => [...service.subscriptions.values()])
}

function toDeadLetter({ name, subscribers }: SubscriptionGround, row: DeadRow): DeadLetter {
  return { ...toLetter(name, row), parkedBehind: row.parked_behind, hasNoHandler: !subscribers.has(row.type) }
}

function toDiscardedLetter(subscription: string, row: DiscardedRow): DiscardedLetter {
  return { ...toLetter(subscription, row), discardedAt: row.discarded_at, by: row.discarded_by, reason: row.reason }
}

function toLetter(subscription: string, row: LetterRow): Omit<DeadLetter, 'parkedBehind' | 'hasNoHandler'> {
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

/** Where a letter is held. */
export function heldPlaceOf({ event: { partition, key, source, number } }: Pick<DeadLetter, 'event'>): HeldPlace {
  return { partition, key, source, number }
}

/** How many letters are read at a time, each with its data. */
const PAGE_ROWS = 200

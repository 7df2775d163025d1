import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { Statement } from '@atoll/store/driver'
import type { SubscriptionFacts } from '../../system.ts'
import type { ReplayProgress } from '../admin.ts'
import type { ServiceRuntime } from '../service/service-runtime.ts'
import type { DiscardNote, HeldPlace } from '../subscription/discarded.ts'
import type { Subscription } from '../subscription/subscription.ts'

/**
 * Builds a projection anew in a store beside the live one, which goes on serving, and swaps it in when it has caught
 * up. If it is cut off, the live one stays and the unfinished store is removed at the next start.
 */
export async function* replayProjection(
  service: ServiceRuntime,
  facts: SubscriptionFacts,
  log: Log,
): AsyncGenerator<ReplayProgress> {
  if (facts.projection === undefined) {
    throw new AtollError(
      'UNSUPPORTED',
      `${facts.name} handles events with effects, which a replay would repeat; only projections can be replayed`,
    )
  }
  if (service.state !== 'running')
    throw new AtollError(
      'UNAVAILABLE',
      `service ${service.name} is ${service.state}; start it before you replay ${facts.name}`,
    )
  const rebuild = await service.generations.rebuild(facts)
  const { subscription } = rebuild
  const live = service.subscriptions.get(facts.name)!
  try {
    await subscription.start()
    let held: Held
    for (let goal = 0; ;) {
      const progress = await progressOf(subscription, log, service.options.partitions)
      held = await heldBy(subscription, live)
      if (held.fresh.length > 0) throw refusal(facts.name, held.fresh)
      // Under load there is always something new: what was there at the last look is enough, and readers who need more
      // wait for it.
      if (progress.handled >= (goal || progress.total) && held.retrying + held.discarded.length === 0) break
      for (const letter of held.discarded) await subscription.discard(letter, letter)
      goal = progress.total
      yield progress
      await pause(service)
    }
    await service.generations.swap(rebuild)
    const { total } = await progressOf(subscription, log, service.options.partitions)
    yield { subscription: facts.name, handled: total, total, held: held.count, done: true }
  } finally {
    await service.generations.giveUp(rebuild)
  }
}

const selectHeld: Statement = {
  sql: `SELECT source, partition, number, state, type, key, error_message AS error FROM atoll_held WHERE subscription = ?`,
}

interface HeldRow {
  source: string
  partition: number
  number: number
  state: string
  type: string
  key: string
  error: string
}

/** Of those that are kept no more, the numbers alone. */
const selectDiscarded: Statement = {
  sql: `SELECT source, partition, number, discarded_at AS "at", discarded_by AS "by", reason FROM atoll_discarded WHERE subscription = ?
        UNION ALL SELECT source, partition, number, NULL, NULL, NULL FROM atoll_discarded_numbers WHERE subscription = ?`,
}

type DiscardedRow = Pick<HeldPlace, 'source' | 'partition' | 'number'> &
  (DiscardNote | Readonly<Record<keyof DiscardNote, null>>)

/** What the new generation of a projection holds. */
interface Held {
  readonly count: number
  /** Being tried again: it may still come to something. */
  readonly retrying: number
  /** Dead, and handled by the live one: it must not take the place of the live one with these missing. */
  readonly fresh: readonly HeldRow[]
  /**
   * Dead, and discarded from the live one: what was discarded is tried as everything is, and discarded again if it
   * fails again.
   */
  readonly discarded: readonly (HeldPlace & DiscardNote)[]
}

async function heldBy(next: Subscription, live: Subscription): Promise<Held> {
  const rows = await next.ground.store.reader.all<HeldRow>(selectHeld, [next.ground.name])
  const counts = { count: rows.length, retrying: rows.filter((row) => row.state === 'retrying').length }
  // of the live one there may be many, and this is asked again and again
  if (!rows.some((row) => row.state === 'dead')) return { ...counts, fresh: [], discarded: [] }
  const place = (row: Pick<HeldRow, 'source' | 'partition' | 'number'>): string =>
    `${row.source} ${row.partition} ${row.number}`
  const known = new Set((await live.ground.store.reader.all<HeldRow>(selectHeld, [live.ground.name])).map(place))
  const dead = new Map(rows.filter((row) => row.state === 'dead').map((row) => [place(row), row]))
  const discarded: (HeldPlace & DiscardNote)[] = []
  for (const row of await live.ground.store.reader.all<DiscardedRow>(selectDiscarded, [
    live.ground.name,
    live.ground.name,
  ])) {
    const again = dead.get(place(row))
    if (!again) continue
    known.add(place(row))
    discarded.push({
      ...again,
      ...(row.at === null
        ? { at: live.ground.host.now(), by: 'atoll', reason: NOTE_NOT_KEPT }
        : { at: row.at, by: row.by, reason: row.reason }),
    })
  }
  return {
    ...counts,
    fresh: [...dead.values()].filter((row) => !known.has(place(row))),
    discarded,
  }
}

function refusal(name: string, dead: readonly HeldRow[]): AtollError {
  const [first] = dead as [HeldRow, ...HeldRow[]] // it is asked only if there are some
  return new AtollError(
    'REPLAY_FAILED',
    `the new ${name} cannot handle ${dead.length} events that the live one has, the first a ${first.type} of key ${first.key}: ${first.error}. The live projection was not touched`,
  )
}

async function progressOf(subscription: Subscription, log: Log, partitions: number): Promise<ReplayProgress> {
  const sources = new Set(subscription.ground.events.map((event) => event.source))
  let handled = 0
  let total = 0
  for (const source of sources) {
    for (let partition = 0; partition < partitions; partition++) {
      total += (await log.tail(source, partition))?.number ?? 0
      handled += subscription.partitions.get(partition)?.cursor(source)?.number ?? 0
    }
  }
  const { problems } = subscription
  if (problems.length > 0)
    throw new AtollError(
      'UNAVAILABLE',
      `the replay cannot go on: ${problems.map(({ reason }) => reason).join('; ')}. The live projection was not touched`,
    )
  return { subscription: subscription.ground.name, handled, total, held: 0, done: false }
}

function pause(service: ServiceRuntime): Promise<void> {
  return new Promise((resolve) => void service.host.after(PROGRESS_MS, resolve))
}

/** What is said of a letter that is discarded again after its first note was let go (`discardedKeptMs`). */
const NOTE_NOT_KEPT = 'it was discarded from the projection before this one; by whom and why is kept no more'

/** How often progress is told. */
const PROGRESS_MS = 20

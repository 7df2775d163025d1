import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import type { World } from '../world/world.ts'

/** What holds of every system, whatever it does. */
export interface OrderBook {
  /** What was handled out of order, in words. */
  readonly wrong: readonly string[]
  /** What comes from here on is judged alone: stores have come back from an earlier moment. */
  forget(): void
}

/**
 * Watches what `on` handlers commit: per subscription, source and key, each event once, and in the order of their
 * numbers.
 */
export function watchOrder(world: World): OrderBook {
  const last = new Map<string, { number: number; id: string }>()
  const wrong: string[] = []
  world.sightings.onHandled = ({ subscription, event: { id, type, key, source }, number }) => {
    const place = `${subscription} ${source} ${key}`
    const before = last.get(place)
    if (before && before.number >= number) {
      wrong.push(
        `${subscription} handled ${type} ${id} of key ${key} ${before.id === id ? 'twice' : `after ${before.id}, which comes after it`}`,
      )
    }
    last.set(place, { number, id })
  }
  return { wrong, forget: () => last.clear() }
}

/**
 * Every event has a cause that came before it: a request that was sent, or an event that its emitter handles and that
 * the log had taken before.
 */
export async function assertCauses(world: World): Promise<void> {
  const events = await world.events()
  const byId = new Map(events.map((event) => [event.id, event]))
  const handles = new Map(
    world.system.services.map(({ name, subscribers }) => [name, new Set(subscribers.map(({ event }) => event.name))]),
  )
  const wrong = (event: StoredRecord, how: string): AtollError =>
    new AtollError(
      'INVARIANT_BROKEN',
      `${event.type} ${event.id} of ${event.source} was caused by ${event.cause}, ${how}`,
    )
  if (byId.size !== events.length) throw new AtollError('INVARIANT_BROKEN', 'an event is in the log twice')
  for (const event of events) {
    if (world.wasRequested(event.cause)) continue
    const cause = byId.get(event.cause)
    if (!cause) throw wrong(event, 'which is neither an event of the log nor a request')
    if (!handles.get(event.source)?.has(cause.type))
      throw wrong(event, `a ${cause.type}, which ${event.source} does not handle`)
    if (world.sightings.appendedAt(cause.id)! >= world.sightings.appendedAt(event.id)!)
      throw wrong(event, 'which the log took later') // both are in the log
  }
}

/**
 * Events that fail at every try, each named by its subscription and its id, are dead letters; or another instance had
 * handled them before.
 */
export async function assertDead(world: World, subjects: readonly string[]): Promise<void> {
  const letters = new Set((await world.deadLetters()).map(({ subscription, event }) => `${subscription} ${event.id}`))
  const missing = subjects.filter((subject) => {
    const [subscription, id = ''] = subject.split(' ')
    return (
      !letters.has(subject) &&
      !world.sightings.of(id).some((sighting) => sighting.subscription === subscription && sighting.handled)
    )
  })
  if (missing.length > 0)
    throw new AtollError('INVARIANT_BROKEN', `no dead letters, though they fail at every try: ${missing.join(', ')}`)
}

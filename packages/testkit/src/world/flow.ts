import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import type { System } from 'atoll'
import type { Sightings } from './sightings.ts'

/** An event, and what it led to. */
export interface Flow {
  readonly id: string
  readonly type: string
  readonly key: string
  /** The service that emitted it. */
  readonly source: string
  readonly data: unknown
  /** What became of it in each subscription that handles it. */
  readonly effects: readonly Effect[]
  /** As a tree of text. */
  toString(): string
}

export interface Effect {
  readonly subscription: string
  readonly outcome: 'handled' | 'failed' | 'waiting'
  readonly tries: number
  /** What its handler threw, if it failed; of one that is handled, what it threw after its commit. */
  readonly error: string | undefined
  /** The events that it emitted. */
  readonly led: readonly Flow[]
}

/** Puts together what an event led to. NOT_FOUND if it is not in the log. */
export function createFlow(
  eventId: string,
  events: readonly StoredRecord[],
  system: System,
  sightings: Sightings,
): Flow {
  const byCause = Map.groupBy(events, (event) => event.cause)
  const root = events.find((event) => event.id === eventId)
  if (!root) throw new AtollError('NOT_FOUND', `event ${eventId} is not in the log; world.events() lists what is`)
  return flowOf(root)

  function flowOf(record: StoredRecord): Flow {
    const { id, type, key, source } = record
    const seen = sightings.of(id)
    const led = byCause.get(id) ?? []
    const effects = system.subscriptions
      .filter(({ subscribers }) => subscribers.some((subscriber) => subscriber.event.name === type))
      .map(({ name, service, projection }): Effect => {
        const sighting = seen.find(({ subscription }) => subscription === name)
        const outcome = sighting?.handled ? 'handled' : sighting?.error === undefined ? 'waiting' : 'failed'
        // A projection emits nothing; what its service emitted because of this event, its handlers did.
        const emitted = projection === undefined ? led.filter((event) => event.source === service) : []
        return {
          subscription: name,
          outcome,
          tries: sighting?.tries ?? 0,
          error: sighting?.error,
          led: emitted.map(flowOf),
        }
      })
    const flow: Flow = {
      id,
      type,
      key,
      source,
      data: JSON.parse(record.data) as unknown,
      effects,
      toString: () => draw(flow, '').join('\n'),
    }
    return flow
  }
}

function draw(flow: Flow, indent: string): string[] {
  return [
    `${flow.type} ${flow.key} (${flow.source})`,
    ...flow.effects.flatMap((effect, index) => drawEffect(effect, indent, index === flow.effects.length - 1)),
  ]
}

function drawEffect(effect: Effect, indent: string, isLast: boolean): string[] {
  const { subscription, outcome, tries, error, led } = effect
  const within = `${indent}${isLast ? '   ' : '│  '}`
  const why =
    error === undefined || outcome === 'waiting'
      ? []
      : outcome === 'failed'
        ? [error]
        : [`failed after its commit: ${error}`]
  const how = [outcome, ...(tries > 1 ? [`after ${tries} tries`] : []), ...why].join(', ')
  return [
    `${indent}${isLast ? '└─' : '├─'} ${subscription}: ${how}`,
    ...led.flatMap((flow, index) => {
      const last = index === led.length - 1
      const [first, ...rest] = draw(flow, `${within}${last ? '   ' : '│  '}`)
      return [`${within}${last ? '└─' : '├─'} ${first}`, ...rest]
    }),
  ]
}

import { AsyncLocalStorage } from 'node:async_hooks'
import { describeThrown } from '@atoll/host'
import type { LogRecord } from '@atoll/log/driver'
import { assertExecuted } from '@atoll/store'
import { system as createSystem, type ReceivedEvent, type System } from 'atoll'
import type { Loops } from './loops.ts'
import { suffer, type Passenger } from './passage.ts'

/** What became of one event in one subscription, as seen from outside its handler. */
export interface Sighting {
  readonly subscription: string
  /** How often its handler ran. */
  tries: number
  /** Its effect has committed, or, of a projection, its handler has ended well. */
  handled: boolean
  /** What it threw the last time: before its commit, or, of one that is handled, after it. */
  error: string | undefined
}

/** An effect that has just committed. */
export interface Handled {
  readonly subscription: string
  readonly event: ReceivedEvent<unknown>
  /** Of the event, in its source and partition. */
  readonly number: number
}

/** Everything that handlers did in a world, by event. */
export class Sightings {
  readonly #byEvent = new Map<string, Map<string, Sighting>>()
  /** In the order in which the log took them. */
  readonly #appended = new Map<string, { readonly number: number; readonly at: number }>()
  readonly #loops: Loops
  /** Called at the commit of an `on` handler's transaction. */
  onHandled: ((handled: Handled) => void) | undefined

  constructor(loops: Loops) {
    this.#loops = loops
  }

  /** How many events have been given to the log. */
  get events(): number {
    return this.#appended.size
  }

  /** Which event it was that the log took: the first is 0. Undefined if it did not take it. */
  appendedAt(eventId: string): number | undefined {
    return this.#appended.get(eventId)?.at
  }

  of(eventId: string): Sighting[] {
    return [...(this.#byEvent.get(eventId)?.values() ?? [])]
  }

  begin(subscription: string, eventId: string): Sighting {
    this.#loops.handling(subscription, eventId)
    let sightings = this.#byEvent.get(eventId)
    if (!sightings) this.#byEvent.set(eventId, (sightings = new Map()))
    let sighting = sightings.get(subscription)
    if (!sighting)
      sightings.set(subscription, (sighting = { subscription, tries: 0, handled: false, error: undefined }))
    sighting.tries++
    return sighting
  }

  appended(records: readonly LogRecord[]): void {
    this.#loops.appended(records)
    for (const { id, number } of records)
      if (!this.#appended.has(id)) this.#appended.set(id, { number, at: this.#appended.size })
  }

  committed({ sighting, event }: HandlingNow): void {
    sighting.handled = true
    sighting.error = undefined
    this.onHandled?.({ subscription: sighting.subscription, event, number: this.#appended.get(event.id)?.number ?? 0 })
  }
}

/** What is being handled, for the store that commits its effect. */
export interface HandlingNow {
  readonly service: string
  readonly sighting: Sighting
  readonly event: ReceivedEvent<unknown>
  /** Strikes when its effect is under way and has not committed. */
  readonly during: () => void
}

export const handlingNow = new AsyncLocalStorage<HandlingNow | undefined>()

/** The same system, with its handlers watched, and passing the point `handle`. */
export function watched(system: System, passenger: Passenger, sightings: Sightings): System {
  type Subscribers = System['services'][number]['subscribers']
  const watch = (name: string, subscribers: Subscribers): Subscribers =>
    subscribers.map((subscriber) => ({
      ...subscriber,
      async run(context) {
        const event = context.event
        const sighting = sightings.begin(name, event.id)
        const mishap = passenger.passes('handle', `${name} ${event.id}`)
        // The transaction of an `on` handler is struck in its midst; what a projection's handler has done commits
        // later, with others'.
        const run = async (during: () => void): Promise<void> => {
          let struck = false
          const strike = (): void => {
            struck = true
            during()
          }
          const handle = (): unknown => subscriber.run(context)
          const returned = await (subscriber.kind === 'handle'
            ? handlingNow.run({ service: passenger.service, sighting, event, during: strike }, handle)
            : handle())
          assertExecuted(undefined, returned)
          if (!struck) during() // a projection, or a handler without a transaction of its own
        }
        try {
          await (mishap ? suffer(passenger, mishap, run) : run(() => {}))
          sighting.handled = true
          sighting.error = undefined
        } catch (error) {
          sighting.error = describeThrown(error).message
          throw error
        }
      },
    }))
  return createSystem(system.name, {
    services: system.services.map((service) => ({
      ...service,
      subscribers: watch(service.name, service.subscribers),
      projections: service.projections.map((projection) => ({
        ...projection,
        subscribers: watch(`${service.name}.${projection.name}`, projection.subscribers),
      })),
    })),
  })
}

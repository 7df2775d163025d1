import { system as createSystem, type ReceivedEvent, type System } from 'atoll'
import { suffer, type Passenger } from './passage.ts'

/** What became of one event in one subscription, as seen from outside its handler. */
export interface Sighting {
  readonly subscription: string
  /** How often its handler ran. */
  tries: number
  /** Its handler ended well the last time, or not yet. */
  handled: boolean
  /** What it threw the last time. */
  error: string | undefined
}

/** Everything that handlers did in a world, by event. */
export class Sightings {
  readonly #byEvent = new Map<string, Map<string, Sighting>>()
  /** Called when a handler of an `on` subscriber has ended well: its effect has committed. */
  onHandled: ((subscription: string, event: ReceivedEvent<unknown>) => void) | undefined

  of(eventId: string): Sighting[] {
    return [...(this.#byEvent.get(eventId)?.values() ?? [])]
  }

  begin(subscription: string, eventId: string): Sighting {
    let sightings = this.#byEvent.get(eventId)
    if (!sightings) this.#byEvent.set(eventId, (sightings = new Map()))
    let sighting = sightings.get(subscription)
    if (!sighting) sightings.set(subscription, (sighting = { subscription, tries: 0, handled: false, error: undefined }))
    sighting.tries++
    return sighting
  }
}

/** The same system, with its handlers watched, and passing the point `handle`. */
export function watched(system: System, passenger: Passenger, sightings: Sightings): System {
  type Subscribers = System['services'][number]['subscribers']
  const watch = (name: string, subscribers: Subscribers): Subscribers =>
    subscribers.map((subscriber) => ({
      ...subscriber,
      async run(context) {
        const event = context.event
        const sighting = sightings.begin(name, event.id)
        const mishap = passenger.passes('handle')
        try {
          await (mishap ? suffer(passenger, mishap, () => subscriber.run(context)) : subscriber.run(context))
          sighting.handled = true
          sighting.error = undefined
          if (subscriber.kind === 'handle') sightings.onHandled?.(name, event)
        } catch (error) {
          sighting.error = error instanceof Error ? error.message : String(error)
          throw error
        }
      },
    }))
  return createSystem(system.name, {
    services: system.services.map((service) => ({
      ...service,
      subscribers: watch(service.name, service.subscribers),
      projections: service.projections.map((projection) => ({ ...projection, subscribers: watch(`${service.name}.${projection.name}`, projection.subscribers) })),
    })),
  })
}

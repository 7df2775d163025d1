import { AtollError } from '@atoll/host'
import type { z } from 'zod'
import type { EventDefinition } from './contract/event.ts'
import { assertStoreFits, assertSystemName } from './contract/names.ts'
import type { BoundOperation } from './contract/operation.ts'
import type { Service } from './service/service.ts'
import type { Subscriber } from './service/subscriber.ts'
import { questionsOf } from './runtime/command/questions.ts'

/**
 * A set of services that run together. One value from which everything is made: processes, gateway, flow map, tests.
 */
export interface System {
  readonly name: string
  readonly services: readonly Service[]
  /** By event name: its definition and the service that emits it. */
  readonly sources: ReadonlyMap<string, EventSource>
  /** Those of contracts, and what runtimes ask each other. */
  readonly operations: ReadonlyMap<string, { readonly operation: BoundOperation; readonly service: Service }>
  /** Every named reader of the log. */
  readonly subscriptions: readonly SubscriptionFacts[]
  /** Runs once, after the first start on an empty data folder. */
  readonly seed: Seed | undefined
}

export interface EventSource {
  readonly event: EventDefinition
  readonly service: string
}

/** A named reader of the log: a service's handlers (`orders`), or one projection (`reading.pages`). */
export interface SubscriptionFacts {
  readonly name: string
  readonly service: string
  readonly projection: string | undefined
  readonly subscribers: readonly Subscriber[]
}

/** Fills an empty system with demo data, by calling its operations. */
export type Seed = (seeding: SeedContext) => Promise<void>

export interface SeedContext {
  /** Calls an operation, as the user of that id if `as` is given; resolves with its output. */
  call<Op extends BoundOperation>(
    operation: Op,
    input: z.input<Op['input']>,
    options?: { as?: string },
  ): Promise<z.output<Op['output']>>
  /** Resolves when everything that was emitted has been handled everywhere. */
  settled(): Promise<void>
}

export interface SystemOptions {
  services: readonly Service[]
  seed?: Seed
}

/**
 * Puts services together. Throws DEFINITION_INVALID, naming the culprit, for no service, two services, events or routes
 * of one name, an event that a service handles and none emits, an event handled twice in one subscription; and for
 * names that some engine could not take.
 */
export function system(name: string, options: SystemOptions): System {
  assertSystemName(name)
  if (options.services.length === 0)
    refuse(
      `system ${name} has no services, so there is nothing to run; give it some: system('${name}', { services: [service(…)] })`,
    )
  const sources = new Map<string, EventSource>()
  const operations = new Map<string, { operation: BoundOperation; service: Service }>()
  const subscriptions: SubscriptionFacts[] = []
  const names = new Set<string>()
  const routes = new Map<string, string>()

  for (const service of options.services) {
    claim(names, service.name, 'service')
    assertStoreFits(name, service.name)
    for (const event of [...service.contract.events, ...service.privateEvents]) {
      const other = sources.get(event.name)
      if (other)
        refuse(
          other.service === service.name
            ? `service ${service.name} declares event ${event.name} twice; name it once`
            : `event ${event.name} is declared by ${other.service} and by ${service.name}; an event has one source`,
        )
      sources.set(event.name, { event, service: service.name })
    }
    for (const operation of service.contract.operations) {
      operations.set(operation.name, { operation, service })
      if (!operation.http) continue
      const shape = operation.http.replace(/:[^/]+/g, ':')
      const other = routes.get(shape)
      if (other) refuse(`route '${operation.http}' belongs to ${other} and to ${operation.name}`)
      routes.set(shape, operation.name)
    }
    for (const operation of questionsOf(service.name)) operations.set(operation.name, { operation, service })
    subscriptions.push({
      name: service.name,
      service: service.name,
      projection: undefined,
      subscribers: service.subscribers,
    })
    for (const projection of service.projections) {
      const full = `${service.name}.${projection.name}`
      claim(names, full, 'projection')
      assertStoreFits(name, full)
      subscriptions.push({
        name: full,
        service: service.name,
        projection: projection.name,
        subscribers: projection.subscribers,
      })
    }
  }

  for (const subscription of subscriptions) {
    const handled = new Set<string>()
    for (const { event } of subscription.subscribers) {
      const source = sources.get(event.name)
      if (!source) refuse(`${subscription.name} handles ${event.name}, which no service of system ${name} emits`)
      if (source.event !== event)
        refuse(
          `${subscription.name} handles another definition of ${event.name} than ${source.service} emits; import that one`,
        )
      if (isPrivate(options.services, event, subscription.service)) {
        refuse(
          `${subscription.name} handles ${event.name}, which is private to ${source.service}; move it into the contract`,
        )
      }
      claim(handled, event.name, `handler in ${subscription.name} for`)
    }
  }
  return { name, services: options.services, sources, operations, subscriptions, seed: options.seed }
}

function isPrivate(services: readonly Service[], event: EventDefinition, subscriber: string): boolean {
  return services.some((service) => service.name !== subscriber && service.privateEvents.includes(event))
}

function claim(taken: Set<string>, name: string, what: string): void {
  if (taken.has(name)) refuse(`there are two of ${what} ${name}`)
  taken.add(name)
}

function refuse(message: string): never {
  throw new AtollError('DEFINITION_INVALID', message)
}

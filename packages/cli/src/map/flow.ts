import type { System } from 'atoll'

/** The flow of events in a system, as it is declared: read off the system value, not off the source. */
export interface Flow {
  readonly system: string
  readonly services: readonly FlowService[]
  /** From a service, by an event, to a subscription. */
  readonly edges: readonly FlowEdge[]
  /** Events that nobody handles. */
  readonly unheard: readonly { readonly event: string; readonly source: string }[]
}

export interface FlowService {
  readonly name: string
  readonly operations: readonly {
    readonly name: string
    readonly kind: 'command' | 'query'
    readonly route: string | undefined
    readonly shows: string | undefined
  }[]
  readonly events: readonly { readonly name: string; readonly version: number; readonly isPrivate: boolean }[]
  readonly projections: readonly string[]
}

export interface FlowEdge {
  readonly source: string
  readonly event: string
  readonly subscription: string
  readonly service: string
  readonly kind: 'handle' | 'project'
}

export function flowOf(system: System): Flow {
  const edges = system.subscriptions.flatMap(
    ({ name, service, subscribers }) =>
      subscribers.map(({ event, kind }): FlowEdge => ({
        source: system.sources.get(event.name)!.service,
        event: event.name,
        subscription: name,
        service,
        kind,
      })), // `system` checked it
  )
  const heard = new Set(edges.map((edge) => edge.event))
  return {
    system: system.name,
    services: system.services.map((service) => ({
      name: service.name,
      operations: service.contract.operations.map(({ name, kind, http, show }) => ({
        name,
        kind,
        route: http,
        shows: show?.query().name,
      })),
      events: [
        ...service.contract.events.map(({ name, version }) => ({ name, version, isPrivate: false })),
        ...service.privateEvents.map(({ name, version }) => ({ name, version, isPrivate: true })),
      ],
      projections: service.projections.map((projection) => projection.name),
    })),
    edges,
    unheard: [...system.sources]
      .filter(([name]) => !heard.has(name))
      .map(([event, { service }]) => ({ event, source: service })),
  }
}

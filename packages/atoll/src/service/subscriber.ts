import type { DataOf, EventDefinition } from '../contract/event.ts'
import type { EventContext, ProjectionContext, ReceivedEvent } from './context.ts'

/** One event that a subscription handles, and how. Made with `on` or `project`. */
export interface Subscriber<Tables = unknown> {
  readonly event: EventDefinition
  /**
   * `handle`: any handler, which runs its own `tx`. `project`: writes its own tables and nothing else; batched and
   * replayable.
   */
  readonly kind: 'handle' | 'project'
  /**
   * What the handler returns: nothing, a promise, or by mistake a query. (A method, so that lists of subscribers need
   * no `any`.)
   */
  run(context: EventContext<Tables, unknown, EventDefinition> | ProjectionWork<Tables>): unknown
}

/** What a `project` subscriber is run with. */
export interface ProjectionWork<Tables> extends ProjectionContext<Tables> {
  readonly event: ReceivedEvent<unknown>
}

/** Makes subscribers that know the service's tables and events. */
export interface Subscribe<Tables, Emits extends EventDefinition> {
  /**
   * Handles an event: the same shape as a command. Its effect happens exactly once. If it throws, it is tried again
   * with growing delays while later events of the same key wait; when its tries are used up it becomes a dead letter.
   */
  on<Event extends EventDefinition>(
    event: Event,
    handler: (context: EventContext<Tables, DataOf<Event>, Emits>) => unknown,
  ): Subscriber<Tables>
  /** Keeps tables that are a function of the events alone. Runs in batches, many events to a commit. */
  project<Event extends EventDefinition>(
    event: Event,
    handler: (event: ReceivedEvent<DataOf<Event>>, context: ProjectionContext<Tables>) => unknown,
  ): Subscriber<Tables>
}

/** `on` and `project`, for any tables. */
export function createSubscribe<Tables, Emits extends EventDefinition>(): Subscribe<Tables, Emits> {
  return {
    on: (event, handler) => ({
      event,
      kind: 'handle',
      // The runtime validates the data against this very event before it calls, and runs `handle` with an EventContext.
      run: (context) => handler(context as never),
    }),
    project: (event, handler) => ({
      event,
      kind: 'project',
      run: (context) => handler(context.event as never, context),
    }),
  }
}

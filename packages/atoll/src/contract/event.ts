import { AtollError } from '@atoll/host'
import type { z } from 'zod'
import { judge, type Trust } from './judgement.ts'

/**
 * An event: a fact that happened, named in the past tense. A value that emitters, subscribers and tools import, so that
 * its name, schema and key stand in one place.
 */
export interface EventDefinition<Name extends string = string, Data = unknown> {
  readonly kind: 'event'
  readonly name: Name
  /** Rises by one with each change of shape that an old reader or an old record would not survive. */
  readonly version: number
  readonly data: z.ZodType<Data>
  /** How far what the schema gives is to be trusted to be read as it was emitted. */
  readonly trust: Trust
  /**
   * Events with the same key are handled in order, one after the other. (A method, so that lists of events need no
   * `any`.)
   */
  key(data: Data): string
  /** How the data of each older version becomes that of the next. */
  readonly upcasters: Readonly<Record<number, Upcaster>>
}

/** How data of one version becomes data of the next; made with {@link upcast}. */
export interface Upcaster {
  /** The schema of the older data. It can be seen here: by what shows it, compares it, or generates data of it. */
  readonly from: z.ZodType
  /** Takes what {@link from} gave. Throws if it cannot. (A method, so that lists of upcasters need no `any`.) */
  lift(data: unknown): unknown
}

export interface EventOptions<Schema extends z.ZodType> {
  version: number
  /** What orders the event: the id of the thing it is about. 1 to 200 characters. */
  key: (data: z.output<Schema>) => string
  /**
   * Its data as JSON carries it: what is read is what was emitted. So dates are texts (`z.iso.datetime()`), and nothing
   * is transformed. What only the data can tell (`.trim()`, `z.unknown()`, defaults) is tried at each emit, which is
   * EVENT_INVALID if a reader would read something else. So is what `.refine()`, `.check()` and `.superRefine()` leave
   * of an object or a list. That they look at nothing else, and a `.refine()` of a text or a number at its value alone,
   * is trusted: one that says yes to the emitter and no to a reader, by the time or by what lies elsewhere, makes a
   * dead letter.
   */
  data: Schema
  /**
   * One for each older version, made with {@link upcast}: `{ 1: upcast(OrderV1, (old) => ({ ...old, currency: 'EUR' }))
   * }`.
   */
  upcasters?: Readonly<Record<number, Upcaster>>
}

/**
 * Declares an event. Throws DEFINITION_INVALID for a name that is not `noun.past-participle` in lower case, a version
 * below 1, a missing upcaster, or data that JSON cannot carry.
 */
export function event<const Name extends string, Schema extends z.ZodType>(
  name: Name,
  options: EventOptions<Schema>,
): EventDefinition<Name, z.output<Schema>> {
  if (!/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/.test(name)) {
    throw new AtollError(
      'DEFINITION_INVALID',
      `event name '${name}' must look like 'order.placed': lower case, with a dot`,
    )
  }
  const { version, upcasters = {} } = options
  if (!Number.isInteger(version) || version < 1) {
    throw new AtollError('DEFINITION_INVALID', `event ${name}: version must be a whole number from 1, not ${version}`)
  }
  for (let older = 1; older < version; older++) {
    if (!upcasters[older]) {
      throw new AtollError(
        'DEFINITION_INVALID',
        `event ${name} is at version ${version} and has no upcaster for version ${older}`,
      )
    }
  }
  const trust = judge(options.data, 'event', `event ${name}`)
  return {
    kind: 'event',
    name,
    version,
    // Schemas parse unknown data, so that z.ZodType<Output> is all that a reader needs to know.
    data: options.data as unknown as z.ZodType<z.output<Schema>>,
    trust,
    key: options.key,
    upcasters,
  }
}

/**
 * An upcaster of data that had this schema: `upcast(OrderV1, (old) => …)`. What it gives is held to what is held
 * against data that is emitted. Throws DEFINITION_INVALID for old data that JSON cannot have brought.
 */
export function upcast<Schema extends z.ZodType>(old: Schema, lift: (data: z.output<Schema>) => unknown): Upcaster {
  judge(old, 'input', 'an upcaster')
  return { from: old, lift }
}

/** The data that an event carries. */
export type DataOf<Event extends EventDefinition> = Event extends EventDefinition<string, infer Data> ? Data : never

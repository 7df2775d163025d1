import { AtollError } from '@atoll/host'
import { z } from 'zod'

/**
 * How far the values of a schema are to be trusted to JSON, which is judged once, when the schema is given: `as it is`:
 * JSON brings back every value that the schema gives, and the schema leaves it as it is when it is parsed again.
 * `looked at`: that depends on the value. `parsed again`: what becomes of the value depends on code or on data that no
 * one can see through beforehand.
 */
export type Trust = 'as it is' | 'looked at' | 'parsed again'

/**
 * What the values of a schema are for. Those of an event are parsed when it is emitted and again by each reader. An
 * input is parsed once, from JSON; an output is parsed once, and becomes JSON.
 */
export type Role = 'event' | 'input' | 'output'

/**
 * Judges a schema. Throws DEFINITION_INVALID, with the field and what to use instead, for types that JSON cannot carry.
 * `subject` begins the message.
 */
export function judge(schema: z.ZodType, role: Role, subject: string): Trust {
  return trusts[new Judge(role, subject).judge(schema, [])]!
}

const AS_IT_IS = 0
const LOOKED_AT = 1
const PARSED_AGAIN = 2
const trusts: readonly Trust[] = ['as it is', 'looked at', 'parsed again']

/** Any schema, as zod's own walkers take it apart. */
type Schema = z.core.$ZodType
type Def = z.core.$ZodTypes['_zod']['def']
type Path = readonly string[]

class Judge {
  readonly #role: Role
  readonly #subject: string
  /** Those that are being looked into: one that contains itself has no end. */
  readonly #open = new Set<Schema>()

  constructor(role: Role, subject: string) {
    this.#role = role
    this.#subject = subject
  }

  judge(schema: Schema, path: Path): number {
    if (this.#open.has(schema)) return PARSED_AGAIN
    this.#open.add(schema)
    const trust = Math.max(this.#ofKind(schema, path), this.#ofChecks(schema))
    this.#open.delete(schema)
    return trust
  }

  #ofKind(schema: Schema, path: Path): number {
    const def = (schema as z.core.$ZodTypes)._zod.def // every schema is one of zod's
    const inner = (one: Schema, ...step: string[]): number => this.judge(one, [...path, ...step])
    switch (def.type) {
      case 'string':
      case 'boolean':
        return this.#isEvent && def.coerce ? PARSED_AGAIN : AS_IT_IS
      case 'number':
        return this.#isEvent && def.coerce ? PARSED_AGAIN : LOOKED_AT // -0
      case 'null':
      case 'never':
      case 'template_literal':
        return AS_IT_IS
      case 'literal':
        if (def.values.some((value) => typeof value === 'bigint')) this.#refuse(path, 'bigint')
        return def.values.includes(undefined) ? PARSED_AGAIN : ofValues(def.values)
      case 'enum':
        return ofValues(Object.values(def.entries))
      case 'optional':
      case 'nullable':
      case 'nonoptional':
      case 'readonly':
        return path.length === 0 && this.#isEvent ? Math.max(LOOKED_AT, inner(def.innerType)) : inner(def.innerType)
      case 'default':
      case 'prefault':
      case 'catch':
        return Math.max(this.#isEvent ? PARSED_AGAIN : LOOKED_AT, inner(def.innerType))
      case 'array':
        return Math.max(undefinedIn(def.element), inner(def.element, '*'))
      case 'tuple':
        return Math.max(
          AS_IT_IS,
          ...[...def.items, ...(def.rest ? [def.rest] : [])].map((item, index) =>
            Math.max(undefinedIn(item), inner(item, String(index))),
          ),
        )
      case 'object': {
        const fields = Object.entries(def.shape).map(([name, field]) => inner(field, name))
        return Math.max(AS_IT_IS, ...fields, ...(def.catchall ? [inner(def.catchall, '*')] : []))
      }
      case 'record': {
        const key = def.keyType as Schema | undefined // zod's type says more than its code
        const keys = key && keyKinds.has(kindOf(key)) ? inner(key, '*') : PARSED_AGAIN
        return Math.max(keys, undefinedIn(def.valueType), inner(def.valueType, '*'))
      }
      case 'union': {
        const options = Math.max(AS_IT_IS, ...def.options.map((option) => inner(option)))
        const mayChoose =
          this.#isEvent && !('discriminator' in def) && def.options.filter((option) => !isScalar(option)).length > 1
        return mayChoose ? PARSED_AGAIN : options // what one option made of a value, another may take the second time
      }
      case 'intersection':
        return Math.max(this.#isEvent ? PARSED_AGAIN : AS_IT_IS, inner(def.left), inner(def.right))
      case 'pipe':
        return this.#ofPipe(def, path)
      case 'lazy':
        return this.#ofLazy(def, path)
      case 'custom':
        if (schema._zod.bag['Class'] !== undefined && this.#role !== 'input') this.#refuse(path, 'instanceof')
        return PARSED_AGAIN
      case 'date':
      case 'bigint':
        if (this.#role === 'input' && def.coerce) return PARSED_AGAIN // made of whatever comes
        return this.#refuse(path, def.type)
      case 'transform':
        return this.#isEvent ? this.#refuse(path, 'transform') : PARSED_AGAIN
      case 'map':
      case 'set':
      case 'nan':
      case 'file':
      case 'symbol':
      case 'function':
      case 'promise':
        return this.#refuse(path, def.type)
      case 'void':
      case 'undefined':
        return path.length === 0 && this.#role === 'output' ? AS_IT_IS : PARSED_AGAIN
      default:
        return PARSED_AGAIN // any, unknown, success, and what zod will have some day
    }
  }

  #ofPipe(def: Extract<Def, { type: 'pipe' }>, path: Path): number {
    if (!this.#isEvent) return this.judge(this.#role === 'input' ? def.in : def.out, path)
    if ('transform' in def) return this.#refuse(path, 'transform') // a codec
    const trust = Math.max(this.judge(def.in, path), this.judge(def.out, path))
    return isScalar(def.out) ? trust : PARSED_AGAIN // its end may drop what its beginning asks for
  }

  #ofLazy(def: Extract<Def, { type: 'lazy' }>, path: Path): number {
    let inner: Schema
    try {
      inner = def.getter()
    } catch {
      return PARSED_AGAIN // it names a schema that is not there yet
    }
    return this.judge(inner, path)
  }

  /** A schema's checks come after its kind, and some of them put another value in place of theirs. */
  #ofChecks(schema: Schema): number {
    const own =
      // such as z.url(), which is both
      (schema._zod.def as { check?: string }).check === undefined ? [] : [schema as unknown as z.core.$ZodCheck]
    const checks = [...own, ...(schema._zod.def.checks ?? [])]
    return this.#role === 'input' || checks.every((check) => leavesAlone(check, schema)) ? AS_IT_IS : PARSED_AGAIN
  }

  get #isEvent(): boolean {
    return this.#role === 'event'
  }

  #refuse(path: Path, kind: Refused): never {
    const { what, instead } = refused[kind]
    const where = path.length === 0 ? '' : `, at ${path.join('.')}`
    throw new AtollError(
      'DEFINITION_INVALID',
      `${this.#subject}${where}: ${what}. ${instead[this.#role] ?? instead.event}`,
    )
  }
}

function leavesAlone(check: z.core.$ZodCheck, schema: Schema): boolean {
  const { def } = check._zod
  if (def.check === 'string_format') return (def as z.core.$ZodCheckStringFormatDef).format !== 'url' // which trims
  if (def.check !== 'custom') return pureChecks.has(def.check)
  // what `refine` makes: it may change what is in an object or a list; `check` and `superRefine` may do anything
  return check instanceof z.core.$ZodCustom && isScalar(schema)
}

const pureChecks: ReadonlySet<string> = new Set([
  'less_than',
  'greater_than',
  'multiple_of',
  'number_format',
  'max_length',
  'min_length',
  'length_equals',
  'max_size',
  'min_size',
  'size_equals',
])

/**
 * Constants are as JSON brings them back, but for NaN and the infinities, which it turns into null, and 0, for which a
 * schema takes -0 as well.
 */
function ofValues(values: readonly unknown[]): number {
  return values.every((value) => typeof value !== 'number' || (Number.isFinite(value) && value !== 0))
    ? AS_IT_IS
    : LOOKED_AT
}

/** Whether a list of these may hold undefined. */
function undefinedIn(element: Schema): number {
  return element._zod.optout === undefined ? AS_IT_IS : LOOKED_AT
}

function kindOf(schema: Schema): string {
  return schema._zod.def.type
}

/** Kinds whose texts are keys of an object as they are. */
const keyKinds: ReadonlySet<string> = new Set(['string', 'enum', 'literal', 'template_literal'])

function isScalar(schema: Schema): boolean {
  const { innerType } = schema._zod.def as { innerType?: Schema } // those that wrap another have one
  return (
    scalarKinds.has(kindOf(schema)) ||
    (innerType !== undefined && wrapperKinds.has(kindOf(schema)) && isScalar(innerType))
  )
}

const scalarKinds: ReadonlySet<string> = new Set([
  'string',
  'number',
  'boolean',
  'null',
  'enum',
  'literal',
  'template_literal',
  'undefined',
])
const wrapperKinds: ReadonlySet<string> = new Set(['optional', 'nullable', 'nonoptional', 'readonly'])

type Refused =
  | 'date'
  | 'bigint'
  | 'map'
  | 'set'
  | 'nan'
  | 'file'
  | 'symbol'
  | 'function'
  | 'promise'
  | 'instanceof'
  | 'transform'

const texts = 'Use z.iso.datetime(), and give it as toISOString() makes it'
const refused: Readonly<
  Record<
    Refused,
    {
      readonly what: string
      readonly instead: { readonly event: string; readonly input?: string; readonly output?: string }
    }
  >
> = {
  date: {
    what: 'JSON has no dates',
    instead: { event: texts, input: 'Use z.iso.datetime(); or z.coerce.date(), which takes its text', output: texts },
  },
  bigint: {
    what: 'JSON has no bigints',
    instead: {
      event: 'Use z.string() for its digits',
      input: 'Use z.coerce.bigint(), which takes its digits as a text',
    },
  },
  map: {
    what: 'JSON has no maps',
    instead: {
      event: 'Use z.record() or a list of pairs',
      input: 'Take a z.record() or a list of pairs, and make the map of it with .transform()',
    },
  },
  set: {
    what: 'JSON has no sets',
    instead: { event: 'Use z.array()', input: 'Take a z.array(), and make the set of it with .transform()' },
  },
  nan: { what: 'JSON has no NaN', instead: { event: 'Use z.null()' } },
  file: { what: 'JSON has no files', instead: { event: 'Keep the file elsewhere, and give its name' } },
  symbol: { what: 'JSON has no symbols', instead: { event: 'Use z.enum()' } },
  function: { what: 'JSON has no functions', instead: { event: 'Use what it returns' } },
  promise: { what: 'JSON has no promises', instead: { event: 'Use what it resolves with' } },
  instanceof: {
    what: 'JSON brings back no instances of classes',
    instead: { event: 'Use z.object() with the fields that matter' },
  },
  transform: {
    what: 'it is parsed when it is emitted and again by each reader, so that a transform, a preprocess or a codec would change it twice',
    instead: { event: 'Transform the data before emit, and describe here what it has become' },
  },
}

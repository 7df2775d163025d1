// What JSON would change or lose of a value, and says nothing of it. Services share nothing but JSON: what it does not
// bring back as it was is refused where it is given, and not found out by whoever reads it.

/** Where in a value something is that JSON does not bring back as it was, and why. */
export interface Flaw {
  readonly path: readonly (string | number)[]
  readonly why: string
  /** It goes deeper than whoever walks through it can follow: nobody should try. */
  readonly isTooDeep?: true
}

/** What there is to say of a value before it becomes JSON. */
export interface Look {
  readonly flaw: Flaw | undefined
  /** `JSON.stringify` writes -0 as 0. */
  readonly hasMinusZero: boolean
}

/**
 * Looks through a value. A field that is undefined counts as one that is not there. `isMade`: a schema has just made
 * every object and list in it.
 */
export function lookAt(value: unknown, isMade: boolean): Look {
  const state: State = { hasMinusZero: false, wellFormed: false, withoutNul: false, isMade }
  return { flaw: flawIn(value, 0, state), hasMinusZero: state.hasMinusZero }
}

/**
 * The same for what somebody sent. Halves of surrogate pairs are flaws there, too: JSON brings them back, and stores do
 * not, so that two texts would become one. Of what is from a client, so is U+0000, which no store keeps: whoever
 * handled an event with it would fail for what a client sent. `isMade`: JSON was parsed to make it.
 */
export function lookAtSent(value: unknown, isMade: boolean, isFromClient: boolean): Look {
  const state: State = { hasMinusZero: false, wellFormed: true, withoutNul: isFromClient, isMade }
  return { flaw: flawIn(value, 0, state), hasMinusZero: state.hasMinusZero }
}

/** As JSON brings a value back, in which nobody found a flaw. */
export function copyOf(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}

/** A value as JSON, -0 as it is. */
export function toExactJson(value: unknown, hasMinusZero: boolean): string {
  return hasMinusZero
    ? JSON.stringify(value, (_, part: unknown) => (Object.is(part, -0) ? minusZero : part))
    : JSON.stringify(value)
}

/** A flaw in words: `lines.2: undefined, which JSON turns into null in a list`. `root` names the value itself. */
export function describeFlaw({ path, why }: Flaw, root: string): string {
  return `${path.length === 0 ? root : path.join('.')}: ${why}`
}

/** The same value, whatever the order in which its fields were sent. */
export function toCanonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(toCanonicalJson).join(',')}]`
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${toCanonicalJson(field)}`).join(',')}}`
}

interface State {
  hasMinusZero: boolean
  readonly wellFormed: boolean
  readonly withoutNul: boolean
  /** Nobody can have put anything into its objects and lists that JSON leaves out. */
  readonly isMade: boolean
}

function flawIn(value: unknown, depth: number, state: State): Flaw | undefined {
  switch (typeof value) {
    case 'string':
      return flawInText(value, state)
    case 'boolean':
      return undefined
    case 'number':
      if (!Number.isFinite(value)) return flaw(`${value}, which JSON turns into null`)
      if (Object.is(value, -0)) state.hasMinusZero = true
      return undefined
    case 'object':
      if (value === null) return undefined
      if (depth >= DEPTH_MAX) return { ...flaw(`nested deeper than ${DEPTH_MAX} levels`), isTooDeep: true }
      return Array.isArray(value) ? flawInList(value, depth, state) : flawInObject(value, depth, state)
    default:
      return flaw(`${unspoken[typeof value]}, which JSON cannot carry`)
  }
}

function flawInText(text: string, { wellFormed, withoutNul }: State): Flaw | undefined {
  if (wellFormed && !text.isWellFormed()) return flaw('half of a surrogate pair, which is no character')
  return withoutNul && text.includes('\0') ? flaw('the character U+0000, which no store keeps') : undefined
}

function flawInList(list: readonly unknown[], depth: number, state: State): Flaw | undefined {
  for (let index = 0; index < list.length; index++) {
    const element = list[index]
    const found =
      element === undefined
        ? flaw('undefined, which JSON turns into null in a list')
        : flawIn(element, depth + 1, state)
    if (found) return within(index, found)
  }
  if (state.isMade) return undefined
  if (typeof (list as { toJSON?: unknown }).toJSON === 'function')
    return flaw('a list with toJSON, which JSON does not bring back as it was')
  return Reflect.ownKeys(list).length > list.length + 1
    ? flaw('a list with fields of its own, which JSON leaves out')
    : undefined // `length` is one
}

function flawInObject(value: object, depth: number, state: State): Flaw | undefined {
  if (!isPlain(value)) return flaw(`${nameOf(value)}, which JSON does not bring back as it was`)
  let names = 0
  for (const name in value) {
    // its prototype has none
    names++
    const field = (value as Readonly<Record<string, unknown>>)[name]
    const ofName = flawInText(name, state)
    if (ofName) return within(name, { ...ofName, why: `a name with ${ofName.why}` })
    if (field === undefined) continue
    const found = flawIn(field, depth + 1, state)
    if (found) return within(name, found)
  }
  return state.isMade || Reflect.ownKeys(value).length === names
    ? undefined
    : flaw('an object with fields that are hidden or have symbols for names, which JSON leaves out')
}

/** Made by a literal, in whichever realm, and with nothing that speaks for it before JSON does. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (
    prototype !== Object.prototype &&
    prototype !== null &&
    (Object.getPrototypeOf(prototype) !== null || !Object.hasOwn(prototype, 'hasOwnProperty'))
  )
    return false
  return typeof (value as { toJSON?: unknown }).toJSON !== 'function' // any object may have one
}

function nameOf(value: object): string {
  // whoever made it may have set it to anything
  const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name
  if (typeof name !== 'string' || name === '') return 'an object of a class'
  return name === 'Object' ? 'an object with toJSON' : `an instance of ${name}`
}

function flaw(why: string): Flaw {
  return { path: [], why }
}

function within(step: string | number, found: Flaw): Flaw {
  return { ...found, path: [step, ...found.path] }
}

const unspoken: Readonly<Record<string, string>> = {
  undefined: 'undefined',
  bigint: 'a bigint',
  symbol: 'a symbol',
  function: 'a function',
}

/** Deeper than any page or document, and far less than would use up the stack of whoever walks through it. */
const DEPTH_MAX = 500

/** How JSON spells it; `JSON.stringify` does not by itself. The compiler's library does not know `rawJSON` yet. */
const minusZero = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('-0')

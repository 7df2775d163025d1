/**
 * What was thrown, as texts. Anything can be thrown: `undefined`, a proxy that is revoked, an error whose `message` is
 * a list, or a getter that throws. Recording a failure must not fail, so whoever writes down what was thrown reads it
 * through here.
 */
export interface ThrownText {
  /** What it says; never empty, and of 10,000 characters at the most. */
  readonly message: string
  /** Where it was thrown, and where its causes were; the message if nothing says. */
  readonly stack: string
}

/** Describes anything that was thrown. Never throws, and ends also where causes go in a circle. */
export function describeThrown(thrown: unknown): ThrownText {
  const message = messageOf(thrown)
  const stacks: string[] = []
  const seen = new Set<unknown>()
  for (let at = thrown; isObject(at) && !seen.has(at) && seen.size < CAUSES_MAX; at = read(at, 'cause')) {
    seen.add(at)
    const stack = read(at, 'stack')
    const text = typeof stack === 'string' && stack !== '' ? cut(stack, STACK_CHARS_MAX) : messageOf(at)
    stacks.push(stacks.length === 0 ? text : `caused by: ${text}`)
  }
  return { message, stack: stacks.length === 0 ? message : stacks.join('\n') }
}

/**
 * Whether it is an error of which message and stack are texts, and whose cause can be read, so that it can be handed on
 * as it is.
 */
export function isSoundError(thrown: unknown): thrown is Error {
  try {
    if (!(thrown instanceof Error)) return false
    const { message, stack } = thrown
    void thrown.cause
    return (
      typeof message === 'string' &&
      message.length <= SOUND_CHARS_MAX &&
      (stack === undefined || typeof stack === 'string')
    )
  } catch {
    return false
  }
}

function messageOf(thrown: unknown): string {
  if (!isObject(thrown)) return cut(textOf(thrown), MESSAGE_CHARS_MAX)
  const message = read(thrown, 'message')
  const own =
    typeof message === 'string'
      ? cut(message, MESSAGE_CHARS_MAX)
      : isObject(message) || message === undefined
        ? ''
        : textOf(message)
  const text = [own, errorsOf(thrown)].filter((part) => part !== '').join(': ')
  if (text !== '') return cut(text, MESSAGE_CHARS_MAX)
  const name = read(thrown, 'name')
  return typeof name === 'string' && name !== ''
    ? cut(name, MESSAGE_CHARS_MAX)
    : `${typeof thrown === 'function' ? 'a function' : 'an object'} without a message was thrown`
}

/** What an AggregateError holds: often its own message says nothing. */
function errorsOf(thrown: object): string {
  try {
    const errors = read(thrown, 'errors')
    if (!Array.isArray(errors)) return ''
    const messages = errors.slice(0, ERRORS_MAX).map((error: unknown) => {
      const message = isObject(error) ? read(error, 'message') : textOf(error)
      return typeof message === 'string' ? cut(message, MESSAGE_CHARS_MAX / ERRORS_MAX) : ''
    })
    if (errors.length > ERRORS_MAX) messages.push(`and ${errors.length - ERRORS_MAX} more`)
    return messages.filter((message) => message !== '').join('; ')
  } catch {
    return ''
  }
}

function textOf(primitive: unknown): string {
  // of what is no object this cannot fail
  return typeof primitive === 'string' ? primitive || 'an empty text was thrown' : String(primitive)
}

function read(object: object, property: string): unknown {
  try {
    return (object as Record<string, unknown>)[property] // whatever it is
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`
}

const MESSAGE_CHARS_MAX = 10_000
/** A longer message is cut, also where it would else be handed on as it is. */
const SOUND_CHARS_MAX = 100_000
const STACK_CHARS_MAX = 20_000
const CAUSES_MAX = 8
const ERRORS_MAX = 4

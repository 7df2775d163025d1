import { AtollError } from '@atoll/host'
import { inexact, isKept } from './exact.ts'
import { headerOf, type GatewayRequest } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'

export type BodyLimits = Pick<GatewayLimits, 'bodyBytesMax' | 'bodyDepthMax' | 'bodyValuesMax'>

/**
 * Reads the body of a request: a JSON object, or undefined if there is none. MALFORMED, UNSUPPORTED_MEDIA_TYPE,
 * BODY_TOO_LARGE, INVALID.
 */
export async function readBody(
  request: GatewayRequest,
  limits: BodyLimits,
): Promise<Record<string, unknown> | undefined> {
  const { headers } = request
  const length = headerOf(headers['content-length'])
  const hasBody = (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
  if (!hasBody) return undefined
  assertReadable(headerOf(headers['content-type']), headerOf(headers['content-encoding']))
  const { bodyBytesMax } = limits
  if (Number(length) > bodyBytesMax)
    throw new AtollError('BODY_TOO_LARGE', `the body has ${length} bytes; ${bodyBytesMax} are allowed (bodyBytesMax)`)
  const text = await request.body(bodyBytesMax)
  if (text.trim() === '') return undefined
  const hasScientific = assertShape(text, limits)
  const body = parse(text)
  if (hasScientific || LONG_NUMBER.test(text)) assertExact(text)
  // an object that is no list
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  throw new AtollError('INVALID', 'the body must be a JSON object', {
    details: { fields: { body: ['must be an object'] } },
  })
}

function assertReadable(type: string | undefined, encoding: string | undefined): void {
  if (type === undefined || !/^application\/json\s*(;|$)/i.test(type)) {
    throw new AtollError('UNSUPPORTED_MEDIA_TYPE', `the body has content-type ${type ?? 'none'}; send application/json`)
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type)?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new AtollError('UNSUPPORTED_MEDIA_TYPE', `the body has charset ${charset}; send it as UTF-8`)
  }
  if (encoding !== undefined && !/^\s*identity\s*$/i.test(encoding)) {
    throw new AtollError('UNSUPPORTED_MEDIA_TYPE', `the body has content-encoding ${encoding}; send it without one`)
  }
}

/**
 * Holds a text against the limits of its shape before it is parsed. What comes later takes time with each value, and
 * stack with each level; a megabyte of fields with names of their own takes the parser alone a hundred times as long as
 * one long text. Answers whether a number in it is in scientific notation.
 */
function assertShape(text: string, { bodyDepthMax, bodyValuesMax }: BodyLimits): boolean {
  let hasScientific = false
  let depth = 0
  let values = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = endOfText(text, index)
        break
      case BRACE:
      case BRACKET:
        values++
        if (++depth > bodyDepthMax)
          throw new AtollError('BODY_TOO_LARGE', `the body nests deeper than ${bodyDepthMax} levels (bodyDepthMax)`)
        break
      case BRACE_END:
      case BRACKET_END:
        depth--
        break
      case COMMA:
        values++
        break
      case SMALL_E:
      case LARGE_E:
        if (text.charCodeAt(index - 1) <= DIGIT_9) hasScientific = true // the words of JSON have letters before it
    }
    if (values > bodyValuesMax)
      throw new AtollError(
        'BODY_TOO_LARGE',
        `the body has more than ${bodyValuesMax} fields and list elements (bodyValuesMax)`,
      )
  }
  return hasScientific
}

/** Where the text ends that begins at a quote. */
function endOfText(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let escapes = 0
    while (json.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++
    if (escapes % 2 === 0) return end
  }
  return json.length // it does not end, as the parser will say
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AtollError('MALFORMED', 'the body is not well-formed JSON', { cause: error })
  }
}

/**
 * Refuses numbers that are not kept as they were written. Only texts with that many digits in a row, or scientific
 * notation, are read a second time.
 */
function assertExact(text: string): void {
  const visit = (name: string, value: unknown, { source }: { source?: string } = {}): unknown => {
    if (typeof value === 'number' && source !== undefined && !isKept(source, value))
      throw inexact(name, source, 'send it as a text')
    return value
  }
  JSON.parse(text, visit)
}

/** So many digits may be more than a number keeps. */
const LONG_NUMBER = /\d{16}/

const [QUOTE, COMMA, DIGIT_9, LARGE_E, BRACKET, BACKSLASH, BRACKET_END, SMALL_E, BRACE, BRACE_END] = [
  0x22, 0x2c, 0x39, 0x45, 0x5b, 0x5c, 0x5d, 0x65, 0x7b, 0x7d,
]

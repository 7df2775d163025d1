import { AtollError, errorCodes, type ErrorCode } from '@atoll/host'
import type { Dispatch, Dispatched, Position } from 'atoll/runtime'

// What goes over the wire between two processes of one system. Both ends are ours, and may be a version apart: what is
// missing has a default, and what is unknown is ignored.

/** `POST /call/<operation>`. */
export interface CallBody {
  /** The system that the caller belongs to: an address that has come to another one is refused there. */
  readonly system: string
  readonly input?: unknown
  readonly isFromClient?: boolean | undefined
  readonly caller?: Dispatch['caller']
  readonly position?: Dispatch['position']
  readonly maybeSeen?: { readonly position: Position; readonly remainingMs: number } | undefined
  readonly idempotencyKey?: string | undefined
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: '*' | undefined
  readonly trace?: string | undefined
  readonly requestId?: string | undefined
  readonly show?: boolean | undefined
  readonly answerBytesMax?: number | undefined
  /** What is left until the deadline, milliseconds. Clocks of two machines differ; what is left does not. */
  readonly remainingMs: number
}

/** What comes back with a status from 400 on. */
export interface CallProblem {
  readonly code: string
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
  /** The work was refused before it began: whatever it was, it may be asked of another instance. */
  readonly unstarted?: boolean
}

/**
 * What stands around the output in an answer: its position above all. Limits of answers are limits of outputs; so much
 * comes on top.
 */
export const AROUND_OUTPUT_BYTES_MAX = 64 * 2 ** 10

export function encodeCall(system: string, request: Dispatch, remainingMs: number, nowMs: number): string {
  const {
    input,
    isFromClient,
    caller,
    position,
    maybeSeen: maybe,
    idempotencyKey,
    ifMatch,
    ifNoneMatch,
    trace,
    requestId,
    show,
    answerBytesMax,
  } = request
  const maybeSeen = maybe && { position: maybe.position, remainingMs: maybe.untilMs - nowMs }
  const body: CallBody = {
    system,
    input,
    isFromClient,
    caller,
    position,
    maybeSeen,
    idempotencyKey,
    ifMatch,
    ifNoneMatch,
    trace,
    requestId,
    show,
    answerBytesMax,
    remainingMs: Math.max(0, Math.floor(remainingMs)),
  }
  return JSON.stringify(body)
}

/** Reads a call. MALFORMED if it is none. */
export function decodeCall(text: string): CallBody {
  const body = parse(text)
  if (!isObject(body)) throw malformed('it is not a JSON object')
  const { remainingMs, system, caller, position, maybeSeen } = body
  if (typeof system !== 'string') throw malformed('it does not say which system it belongs to')
  if (typeof remainingMs !== 'number' || !Number.isFinite(remainingMs))
    throw malformed('it does not say how much time is left')
  for (const name of ['idempotencyKey', 'ifMatch', 'trace', 'requestId']) {
    if (body[name] !== undefined && typeof body[name] !== 'string') throw malformed(`its ${name} is no text`)
  }
  if (body['isFromClient'] !== undefined && typeof body['isFromClient'] !== 'boolean')
    throw malformed('it does not say whether a client sent its input')
  if (body['ifNoneMatch'] !== undefined && body['ifNoneMatch'] !== '*') throw malformed('its ifNoneMatch is not *')
  if (body['answerBytesMax'] !== undefined && !Number.isFinite(body['answerBytesMax']))
    throw malformed('its answerBytesMax is no number')
  if (caller !== undefined && !(isObject(caller) && typeof caller['id'] === 'string' && isObject(caller['claims'])))
    throw malformed('its caller has no id and claims')
  if (position !== undefined && !isPosition(position)) throw malformed('its position is none')
  if (
    maybeSeen !== undefined &&
    !(isObject(maybeSeen) && isPosition(maybeSeen['position']) && Number.isFinite(maybeSeen['remainingMs']))
  )
    throw malformed('what its caller may have seen is no position')
  return body as unknown as CallBody // looked at above; the input is the operation's to check
}

function isPosition(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.values(value).every(
      (partitions) => isObject(partitions) && Object.values(partitions).every((order) => typeof order === 'string'),
    )
  )
}

/** An answer. Of its output, which may be large, JSON is made once. */
export function encodeAnswer(
  { outcome, position, etag, replayed, missed }: Dispatched,
  outputJson: string | undefined,
): string {
  const around = JSON.stringify({ outcome, position, etag, replayed, missed })
  return outputJson === undefined ? around : `{"output":${outputJson},${around.slice(1)}`
}

/** Reads an answer; undefined if it is none. */
export function decodeAnswer(text: string): Dispatched | undefined {
  const body = tryParse(text)
  if (!isObject(body) || !isPosition(body['position']) || !outcomes.has(body['outcome'] as string)) return undefined
  return { output: undefined, ...body } as unknown as Dispatched // looked at above; JSON leaves an undefined output out
}

const outcomes: ReadonlySet<string> = new Set(['done', 'shown', 'accepted'])

export function encodeProblem(error: AtollError, unstarted: boolean): string {
  const problem: CallProblem = { code: error.code, message: error.reason, details: error.details, unstarted }
  try {
    return JSON.stringify(problem)
  } catch {
    // details that are no JSON are a handler's mistake, and not worth the answer
    return JSON.stringify({ ...problem, details: undefined })
  }
}

/**
 * Whether an answer of `/readyz` is the one for strangers, who are told no more than yes or no. False of what is no
 * such answer.
 */
export function isForStrangers(text: string): boolean {
  const body = tryParse(text)
  return isObject(body) && typeof body['ready'] === 'boolean' && body['services'] === undefined
}

/** Reads a problem; undefined if it is none, because something between the two processes answered. */
export function decodeProblem(text: string): { error: AtollError; unstarted: boolean } | undefined {
  const body = tryParse(text)
  if (!isObject(body) || typeof body['code'] !== 'string' || typeof body['message'] !== 'string') return undefined
  const { code, message, details, unstarted } = body as unknown as CallProblem // looked at above
  const known = Object.hasOwn(errorCodes, code)
  const error = new AtollError(
    known ? (code as ErrorCode) : 'INTERNAL',
    known ? message : `${code}: ${message}`,
    isObject(details) ? { details } : {},
  )
  return { error, unstarted: unstarted === true }
}

/** Reads JSON. MALFORMED if it is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AtollError('MALFORMED', 'the body is not well-formed JSON', { cause: error })
  }
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(why: string): AtollError {
  return new AtollError('MALFORMED', `this is not a call: ${why}`)
}

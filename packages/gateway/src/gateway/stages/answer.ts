import { AtollError, type Host } from '@atoll/host'
import type { BoundOperation } from 'atoll'
import { assertAnswerSize, encodePosition, type Dispatched } from 'atoll/runtime'
import { headerOf, type GatewayRequest, type GatewayResponse } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import { isListed, readCondition, versionsOf } from './conditions.ts'
import { toEtag } from './etag.ts'
import type { WithInput } from './read-input.ts'
import type { Stage } from './stage.ts'

/** Makes a response of what the operation answered. ANSWER_TOO_LARGE; for a query, PRECONDITION_FAILED. */
export function answer(
  host: Host,
  { answerBytesMax }: Pick<GatewayLimits, 'answerBytesMax'>,
): Stage<WithInput, WithInput, Dispatched, GatewayResponse> {
  const options = { bytesMax: answerBytesMax, digest: (text: string) => host.digest(text) }
  return (next) => async (exchange) => {
    const dispatched = await next(exchange)
    return toAnswer(exchange.request, exchange.target.operation, dispatched, options)
  }
}

interface AnswerOptions {
  /** Largest body, bytes. */
  readonly bytesMax: number
  digest(text: string): string
}

function toAnswer(
  request: GatewayRequest,
  operation: BoundOperation,
  dispatched: Dispatched,
  { bytesMax, digest }: AnswerOptions,
): GatewayResponse {
  const { output, outputJson, outcome, position, etag, replayed } = dispatched
  const { kind, status } = operation
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (kind === 'command') headers['atoll-position'] = encodePosition(position)
  if (replayed) headers['idempotency-replayed'] = 'true'
  const body = outputJson ?? (output === undefined ? undefined : JSON.stringify(output))
  // of what was answered before, under a larger limit: of anything else, the runtime has looked already
  if (body !== undefined) assertAnswerSize(operation, body, bytesMax, 'done')
  if (etag !== undefined) {
    // A page that a command shows is what its query would answer; a command's own answer is not.
    const isPage = kind === 'query' || outcome === 'shown'
    headers['etag'] = toEtag(etag, isPage && body !== undefined ? digest(body).slice(0, DIGEST_CHARS) : undefined)
  }
  if (kind === 'query') {
    assertMatches(request, operation, etag)
    setCaching(operation, headers)
    if (isKnown(request, headers['etag'])) return { status: 304, headers, body: undefined }
  }
  if (body === undefined) return { status: status ?? 204, headers, body }
  headers['content-type'] = 'application/json; charset=utf-8'
  return { status: outcome === 'accepted' ? 202 : (status ?? 200), headers, body }
}

/** Throws PRECONDITION_FAILED unless the client's If-Match allows this version. */
function assertMatches(request: GatewayRequest, operation: BoundOperation, version: string | undefined): void {
  const ifMatch = readCondition('If-Match', headerOf(request.headers['if-match']))
  const versions = ifMatch && versionsOf(ifMatch)
  if (!versions || (version !== undefined && versions.includes(version))) return
  throw new AtollError('PRECONDITION_FAILED', `${operation.name} answers another version than those in If-Match`, {
    details: { version },
  })
}

/** A page with a version may be kept and asked after. What depends on the caller is kept for that caller alone. */
function setCaching({ auth }: BoundOperation, headers: Record<string, string>): void {
  if (headers['etag'] === undefined) return
  headers['cache-control'] = auth === 'none' ? 'no-cache' : 'private, no-cache'
  if (auth !== 'none') headers['vary'] = 'authorization'
}

/** Whether the client has this very page already. */
function isKnown(request: GatewayRequest, etag: string | undefined): boolean {
  if (etag === undefined) return false
  const ifNoneMatch = readCondition('If-None-Match', headerOf(request.headers['if-none-match']))
  return ifNoneMatch !== undefined && isListed(ifNoneMatch, etag)
}

/** Of a SHA-256 in hexadecimal: 96 bits. */
const DIGEST_CHARS = 24

import type { IncomingMessage } from 'node:http'
import { AtollError } from '../error.ts'

/** Why a request is not served, by its first line and headers alone; undefined if it is. Node.js takes all of these. */
export function flawOf(request: IncomingMessage): AtollError | undefined {
  const ambiguity = ambiguityOf(request)
  if (ambiguity !== undefined) return new AtollError('MALFORMED', ambiguity)
  const { 'transfer-encoding': coding, expect, host } = request.headers
  if (host !== undefined && !HOST.test(host))
    return new AtollError(
      'MALFORMED',
      'the Host header is not valid: it must be a name or an address, and may have a port',
    )
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    if (!/,\s*chunked$/i.test(coding))
      return new AtollError(
        'MALFORMED',
        `the body has transfer-encoding ${coding}, which does not say where the body ends`,
      )
    return new AtollError(
      'NOT_IMPLEMENTED',
      `the body has transfer-encoding ${coding}, and this server understands only chunked: it would read the body without unpacking it`,
    )
  }
  if (expect !== undefined && !isContinue(expect) && request.httpVersionMinor > 0)
    return new AtollError(
      'EXPECTATION_FAILED',
      `the request expects ${expect}, and this server knows only 100-continue`,
    )
  return undefined
}

/**
 * Whether a client holds its body back until it hears `100 Continue`. HTTP/1.0 has no such answer, and RFC 9110 says to
 * ignore the header there.
 */
export function waitsToContinue({ headers: { expect }, httpVersionMinor }: IncomingMessage): boolean {
  return expect !== undefined && isContinue(expect) && httpVersionMinor > 0
}

function isContinue(expect: string): boolean {
  return expect.toLowerCase() === '100-continue'
}

/**
 * Why two readers could understand a request differently; undefined if they could not. Of a header that came twice
 * Node.js keeps the first: a proxy that goes by the last one would have checked another request than the one that is
 * served.
 */
function ambiguityOf(request: IncomingMessage): string | undefined {
  const { httpVersionMajor, httpVersionMinor, httpVersion, headers, rawHeaders } = request
  if (httpVersionMajor !== 1 || httpVersionMinor > 1)
    return `the request is HTTP/${httpVersion}, and this server speaks HTTP/1.1`
  if (httpVersionMinor === 0 && headers['transfer-encoding'] !== undefined)
    return 'the request is HTTP/1.0, which has no Transfer-Encoding'
  let seen = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const bit = single[rawHeaders[index]!.length]?.[rawHeaders[index]!.toLowerCase()] ?? 0
    if (seen & bit) return `the request has the header ${rawHeaders[index]} twice`
    seen |= bit
  }
  return undefined
}

/**
 * Headers of which Node.js keeps the first, as bits, by the length of their names: for most names a look at the length
 * is enough.
 */
const single: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  4: { host: 1 },
  12: { 'content-type': 2 },
  13: { authorization: 4 },
}

/** As RFC 3986 writes a host and a port. It may be empty. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?$/i

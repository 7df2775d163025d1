import type { IncomingMessage } from 'node:http'

/**
 * Why two readers could understand a request differently; undefined if they could not. Node.js takes these, and of a header that came
 * twice it keeps the first: a proxy that goes by the last would have let another request through than the one that is served.
 */
export function ambiguityOf(request: IncomingMessage): string | undefined {
  const { httpVersionMajor, httpVersionMinor, httpVersion, headers, rawHeaders } = request
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return `it says HTTP/${httpVersion}, and HTTP/1.1 is spoken here`
  if (httpVersionMinor === 0 && headers['transfer-encoding'] !== undefined) return 'HTTP/1.0 knows no Transfer-Encoding'
  let seen = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const bit = single[rawHeaders[index]!.length]?.[rawHeaders[index]!.toLowerCase()] ?? 0
    if (seen & bit) return `it has the header ${rawHeaders[index]} twice`
    seen |= bit
  }
  return undefined
}

/** Headers of which the first one counts for Node.js, by length, as bits: most names are no longer looked at than that. */
const single: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  4: { host: 1 },
  12: { 'content-type': 2 },
  13: { authorization: 4 },
}

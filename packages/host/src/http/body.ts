import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AtollError } from '../error.ts'
import { waitsToContinue } from './framing.ts'

/**
 * Reads the body of a request as text. A client that waits to be told so sends it only now: what was refused before is never sent.
 * BODY_TOO_LARGE, with nothing read beyond the limit; MALFORMED for bytes that are not UTF-8, which would become other letters; CANCELLED
 * if the client goes away.
 */
export function readText(request: IncomingMessage, response: ServerResponse, bytesMax: number): Promise<string> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > bytesMax) return Promise.reject(new AtollError('BODY_TOO_LARGE', `the body has ${length} bytes; ${bytesMax} are allowed (bodyBytesMax)`))
  if (waitsToContinue(request)) response.writeContinue()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bytesMax) return void chunks.push(chunk)
      request.removeAllListeners('data').pause()
      reject(new AtollError('BODY_TOO_LARGE', `the body has more than ${bytesMax} bytes (bodyBytesMax)`))
    })
    request.once('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      if (isUtf8(body)) resolve(body.toString())
      else reject(new AtollError('MALFORMED', 'the body has bytes that are not UTF-8; JSON is UTF-8'))
    })
    request.once('error', (error) => reject(new AtollError('CANCELLED', 'the client went away before its body had arrived', { cause: error })))
  })
}

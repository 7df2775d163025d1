import { Agent, request } from 'undici'
import { AtollError, errorCodes, type ErrorCode, type Host } from '@atoll/host'
import { decodeProblem, isObject } from '../protocol.ts'

export interface AdminOptions {
  readonly host: Host
  /** What the processes of the system share. */
  readonly secret?: string | undefined
  /** Ends a question that goes on. */
  readonly signal: AbortSignal
}

/**
 * Asks an instance for what operators want of it, and answers the items as they come. Rejects with what the instance
 * says; with UNAVAILABLE if it cannot be reached, or went before it had ended.
 */
export async function* askInstance(
  url: string,
  verb: string,
  body: unknown,
  { host, secret, signal }: AdminOptions,
): AsyncGenerator<unknown> {
  const agent = new Agent({ connect: { timeout: CONNECT_MS }, headersTimeout: 0, bodyTimeout: 0 })
  const late = new AbortController()
  const timer = host.after(BEGIN_MS, () => late.abort())
  try {
    const headers = {
      'content-type': 'application/json',
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
    }
    const response = await request(`${url}/admin/${verb}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      dispatcher: agent,
      signal: AbortSignal.any([signal, late.signal]),
    })
    timer.cancel()
    if (response.statusCode !== 200)
      throw (
        decodeProblem(await response.body.text())?.error ??
        new AtollError('UNAVAILABLE', `${url} answered with status ${response.statusCode}`)
      )
    for await (const line of linesOf(response.body as AsyncIterable<Buffer>)) {
      // a body is a stream of bytes
      if ('end' in line) return
      if (isObject(line['error'])) throw toError(line['error'])
      yield line['item']
    }
    throw new AtollError('UNAVAILABLE', `${url} went before it had answered`)
  } catch (thrown) {
    if (signal.aborted) return
    if (thrown instanceof AtollError) throw thrown
    const why = late.signal.aborted
      ? `no answer within ${BEGIN_MS} ms`
      : ((thrown as NodeJS.ErrnoException).code ?? String(thrown))
    throw new AtollError('UNAVAILABLE', `${url} cannot be asked: ${why}`, { cause: thrown })
  } finally {
    timer.cancel()
    await agent.destroy()
  }
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<Record<string, unknown>> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()! // split answers one text at least
    for (const line of lines) yield JSON.parse(line) as Record<string, unknown> // the other end is this same program
  }
}

function toError({ code, message }: Record<string, unknown>): AtollError {
  return new AtollError(Object.hasOwn(errorCodes, String(code)) ? (code as ErrorCode) : 'INTERNAL', String(message))
}

const CONNECT_MS = 1_000
/** An instance that stands still takes connections, and answers nothing. */
const BEGIN_MS = 5_000

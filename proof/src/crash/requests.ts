import { Agent, request } from 'node:http'
import type { Outcome } from './book.ts'

/** What came back, and what it says of the request. */
export interface Reply {
  readonly outcome: Outcome
  readonly status: number
  readonly body: unknown
}

export interface Sending {
  readonly method: string
  readonly path: string
  readonly token?: string | undefined
  readonly body?: object | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Sends requests to one process over kept-alive connections. */
export class Client {
  readonly #url: string
  readonly #passesOn: boolean
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  /** `passesOn`: what answers asks others in turn, so that 503 may mean that it heard no more of them. */
  constructor(url: string, passesOn = false) {
    this.#url = url
    this.#passesOn = passesOn
  }

  /** Never rejects: a connection that breaks is an outcome, too. */
  send({ method, path, token, body, headers = {} }: Sending): Promise<Reply> {
    return new Promise((resolve) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const all: Record<string, string> = { ...headers }
      if (token !== undefined) all['authorization'] = `Token ${token}`
      if (text !== undefined)
        Object.assign(all, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) })
      const sent = request(
        `${this.#url}/api${path}`,
        { method, headers: all, agent: this.#agent, timeout: ANSWER_MS },
        (response) => {
          let answer = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => (answer += chunk))
          // a response has a status
          response.on('end', () => resolve(toReply(response.statusCode!, answer, this.#passesOn)))
          response.on('error', () => resolve(broken))
          response.on('close', () => resolve(broken)) // before its end
        },
      )
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      // Nobody listened, so nothing was sent; whatever else broke may have broken after the request had arrived.
      sent.on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED' ? { ...broken, outcome: 'refused' } : broken),
      )
      sent.end(text)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

const broken: Reply = { outcome: 'unknown', status: 0, body: undefined }
/** Longer than any bound within which Atoll answers. */
const ANSWER_MS = 30_000

/**
 * A 500 or 504 leaves open what became of the request, and a 503 of somebody who asked others; every other refusal says
 * that it did nothing.
 */
function toReply(status: number, text: string, passesOn: boolean): Reply {
  const outcome =
    status < 300
      ? 'acknowledged'
      : status === 500 || status === 504 || (passesOn && status === 503)
        ? 'unknown'
        : 'refused'
  return { outcome, status, body: text === '' ? undefined : JSON.parse(text) }
}

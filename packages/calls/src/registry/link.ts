import { Agent, request } from 'undici'
import { AtollError, type Host } from '@atoll/host'
import { decodeProblem } from '../protocol.ts'

/** Asks a registry. */
export class RegistryLink {
  readonly #host: Host
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent: Agent

  constructor(host: Host, url: string, secret: string | undefined) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url))
      throw new AtollError('CONFIG_INVALID', `'${url}' is not the address of a registry; give http://<host>:<port>`)
    this.#host = host
    this.#url = url.replace(/\/+$/, '')
    this.#headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` }
    this.#agent = new Agent({ connections: 1, connect: { timeout: ANSWER_MS }, headersTimeout: 0, bodyTimeout: 0 })
  }

  /**
   * Resolves with what it answers; rejects with UNAVAILABLE, or with what it said, if it does not within `withinMs`.
   */
  async ask(
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    body: object | undefined,
    withinMs = ANSWER_MS,
  ): Promise<unknown> {
    const late = new AbortController()
    const timer = this.#host.after(withinMs, () => late.abort())
    try {
      const headers = body ? { ...this.#headers, 'content-type': 'application/json' } : this.#headers
      const response = await request(`${this.#url}${path}`, {
        method,
        headers,
        body: body ? JSON.stringify(body) : null,
        dispatcher: this.#agent,
        signal: late.signal,
      })
      const text = await response.body.text()
      if (response.statusCode === 200) return JSON.parse(text)
      throw (
        decodeProblem(text)?.error ??
        new AtollError('UNAVAILABLE', `the registry at ${this.#url} answered with status ${response.statusCode}`)
      )
    } catch (thrown) {
      if (thrown instanceof AtollError) throw thrown
      const why = late.signal.aborted
        ? `not within ${withinMs} ms`
        : ((thrown as NodeJS.ErrnoException).code ?? String(thrown))
      throw new AtollError('UNAVAILABLE', `the registry at ${this.#url} does not answer: ${why}`, { cause: thrown })
    } finally {
      timer.cancel()
    }
  }

  /** What is under way is given up. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

/** A registry answers from memory. */
const ANSWER_MS = 2_000

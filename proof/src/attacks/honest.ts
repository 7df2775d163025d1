import { Agent, get } from 'node:http'
import type { Target } from './target.ts'
import { paced } from './wire.ts'

/** What honest clients saw for a while. */
export interface Seen {
  /** How long each answer took, from when it was due to be asked for, milliseconds, in rising order. */
  readonly tookMs: readonly number[]
  /** What others than 200 were answered with, or kept from being answered: a status, or a code of the system. */
  readonly failures: readonly string[]
}

/**
 * Asks for pages so many times a second, whether or not those before were answered; resolves when all are that were
 * asked `until` then.
 */
export async function ask(
  { url, username }: Target,
  perSecond: number,
  { until }: { until: Promise<unknown> },
): Promise<Seen> {
  const paths = ['/api/tags', `/api/profiles/${username}`, '/api/articles?limit=5']
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX })
  const over = new AbortController()
  void until.then(() => over.abort())
  const tookMs: number[] = []
  const asked: Promise<void>[] = []
  const failures: string[] = []
  await paced(perSecond, over.signal, () => {
    const dueMs = performance.now()
    const path = paths[asked.length % paths.length]! // the remainder is one of them
    asked.push(
      answer(url + path, agent).then((outcome) => {
        tookMs.push(performance.now() - dueMs)
        if (outcome !== '200') failures.push(outcome)
      }),
    )
  })
  await Promise.all(asked)
  agent.destroy()
  return { tookMs: tookMs.sort((a, b) => a - b), failures }
}

/** The status, when the whole answer is there; or why it is not. */
function answer(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const asked = get(url, { agent, timeout: PATIENCE_MS }, (response) => {
      response
        .resume()
        .once('end', () => resolve(String(response.statusCode)))
        .once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    asked
      .once('timeout', () => asked.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)))
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

const CONNECTIONS_MAX = 64
const PATIENCE_MS = 10_000

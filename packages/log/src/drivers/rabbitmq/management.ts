import type { StreamView } from './findings.ts'

/** What the management plugin tells, and AMQP does not. */
export interface Managed {
  /** Those of this system. Of one that was made within the last seconds it does not tell yet. */
  readonly streams: readonly StreamView[]
  /** How many nodes the cluster has, whether they run or not. */
  readonly nodes: number
}

/**
 * Asks the first of these addresses that answers, as the user of the log and in its virtual host. Rejects with what the
 * last one said.
 */
export async function askManagement(
  addresses: readonly string[],
  url: string,
  system: string,
  boundMs: number,
): Promise<Managed> {
  // a scheme that URL knows how to take apart
  const { username, password, pathname } = new URL(url.replace(/^[a-z]+/, 'http'))
  const vhost = encodeURIComponent(decodeURIComponent(pathname.slice(1)) || '/')
  const authorization = `Basic ${Buffer.from(`${decodeURIComponent(username) || 'guest'}:${decodeURIComponent(password) || 'guest'}`).toString('base64')}`
  const prefix = `atoll/${system}/`

  async function get(address: string, path: string): Promise<unknown> {
    const answer = await fetch(new URL(path, address), {
      headers: { authorization },
      signal: AbortSignal.timeout(boundMs),
    })
    if (!answer.ok)
      throw new Error(
        `it answers ${answer.status}${answer.status === 401 ? ': give this user the tag monitoring' : ''}`,
      )
    return answer.json()
  }

  let trouble: unknown
  for (const address of addresses) {
    try {
      // as RabbitMQ documents it, and what follows
      const nodes = (await get(address, '/api/nodes')) as readonly unknown[]
      const streams: StreamView[] = []
      for (let page = 1, last = 1; page <= last; page++) {
        const found = (await get(
          address,
          `/api/queues/${vhost}?page=${page}&page_size=${pageSize}&name=${encodeURIComponent(prefix)}`,
        )) as Page
        last = found.page_count
        for (const { name, members, effective_policy_definition: policy } of found.items)
          if (members && name.startsWith(prefix))
            streams.push({ name, replicas: members.length, policy: { ...policy } })
      }
      return { streams, nodes: nodes.length }
    } catch (error) {
      trouble = error
    }
  }
  throw trouble
}

/** A page of queues. */
interface Page {
  readonly page_count: number
  readonly items: readonly {
    readonly name: string
    readonly members?: readonly string[]
    readonly effective_policy_definition?: object | null
  }[]
}

const pageSize = 500

/** Conduit at a gateway on this machine, and what attackers know of it. */
export interface Target {
  /** `http://127.0.0.1:4000` */
  readonly url: string
  /** Of somebody who is registered. */
  readonly username: string
  /** Of an article of 600 KB. */
  readonly slug: string
  /** A partition of `identity` that has events, and an order that it never had. */
  readonly forged: { readonly partition: string; readonly order: string }
}

/** Registers somebody and publishes what attackers ask for. Throws if it is not Conduit, or not on this machine. */
export async function prepare(address: string): Promise<Target> {
  const { protocol, hostname, port, origin } = new URL(address)
  if (protocol !== 'http:' || !['127.0.0.1', 'localhost'].includes(hostname))
    throw new Error(`${origin} is not on this machine: attacks are made on http://127.0.0.1:… alone`)
  const url = `http://127.0.0.1:${port || '80'}`
  const username = `attacked-${Date.now().toString(36)}`
  const { json: registered, position } = await post(`${url}/api/users`, {
    user: { username, email: `${username}@example.com`, password: `${username} ${username}` },
  })
  const { token } = (registered as { user: { token: string } }).user // as the contract of identity has it
  const { json: published } = await post(
    `${url}/api/articles`,
    { article: { title: `long ${username}`, description: 'long', body: '€'.repeat(200_000) } },
    token,
  )
  const { slug } = (published as { article: { slug: string } }).article // as that of articles has it
  const [, partition, order] = /(?:^|,)identity\.(\d+)\.(\d+)/.exec(position) ?? []
  if (partition === undefined || order === undefined)
    throw new Error(`a registration at ${url} was answered without a position of identity: is it Conduit?`)
  return { url, username, slug, forged: { partition, order: String(Number(order) + 1_000_000) } }
}

async function post(url: string, body: object, token?: string): Promise<{ json: unknown; position: string }> {
  const headers = {
    'content-type': 'application/json',
    ...(token !== undefined && { authorization: `Token ${token}` }),
  }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: is it Conduit?`)
  return { json: await response.json(), position: response.headers.get('atoll-position') ?? '' }
}

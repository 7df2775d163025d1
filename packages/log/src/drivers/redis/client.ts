import { AtollError } from '@atoll/host'
import { createClient } from 'redis'
import type { Connection, Opening } from '../shared/connection.ts'
import { toAtollError } from './errors.ts'

export type Client = ReturnType<typeof createOne>
export type RedisConnection = Connection<Client>

export interface Redis {
  readonly url: string
  /** As CLIENT LIST shows it. */
  readonly name: string
  readonly connectMs: number
}

/** How to connect to Redis. Throws INVALID for a url that is none of Redis. */
export function openRedis(redis: Redis, prepare: (client: Client) => Promise<unknown>): Opening<Client> {
  const engine = `Redis at ${addressOf(redis.url)}`
  return {
    engine,
    async open(lost, signal) {
      const client = createOne(redis)
      let hasSocket = false
      client.on('error', lost)
      // One that is ended before it has a socket would not end the socket that it is about to get.
      client.on('connect', () => {
        hasSocket = true
        if (signal.aborted) end(client)
      })
      signal.addEventListener('abort', () => hasSocket && end(client), { once: true })
      try {
        await client.connect()
        await prepare(client)
        return client
      } catch (error) {
        end(client)
        throw error
      }
    },
    end,
    toError: (thrown) => toAtollError(thrown, engine),
  }
}

/** A client that never reconnects, and keeps nothing for later. */
function createOne({ url, name, connectMs }: Redis) {
  return createClient({
    url,
    name,
    RESP: 2, // commands answer arrays, in every version of Redis
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0 },
    socket: { reconnectStrategy: false, connectTimeout: connectMs },
  })
}

function addressOf(url: string): string {
  const { protocol, hostname, port } = URL.parse(url) ?? { protocol: '', hostname: '', port: '' }
  if (protocol === 'redis:' || protocol === 'rediss:') return `${hostname || 'localhost'}:${port || '6379'}`
  throw new AtollError(
    'INVALID',
    'the url of a log on Redis begins with redis:// or rediss://, such as redis://user:password@host:6379/0',
  )
}

/** It may have last words, which its listeners are still there to hear. */
function end(client: Client): void {
  if (client.isOpen) client.destroy()
}

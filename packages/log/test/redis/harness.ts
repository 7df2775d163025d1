import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pause } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { createClient } from 'redis'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { createRedisLog, defaultLimits, type RedisLogLimits } from '../../src/redis.ts'
import { createNetwork } from '../network.ts'
import { startOwnEngine } from '../own-engine.ts'

const host = createNodeHost()

/** A system name that no other test has. */
export function freshSystem(): string {
  return `test-${host.hex(6)}`
}

/** Worlds of logs on a running Redis, each of a system of its own. */
export function createRedisHarness(shared: string, limits: Partial<RedisLogLimits> = {}): LogHarness {
  return {
    capabilities: {
      checksAppends: true,
      persistent: true,
      canBeDurable: true,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    faults: [
      'crash',
      'lose',
      'stopWrites',
      'share',
      'stranger',
      'cut',
      'silence',
      'loseAnswers',
      'resetAfter',
      'restart',
      'impostor',
    ],
    pause,

    async open(fault) {
      const own = fault === 'restart' ? await startOwnEngine('redis') : undefined
      const url = own?.engine.url ?? shared
      const system = freshSystem()
      const opened: Log[] = []
      const strange = freshSystem()
      const network = await createNetwork(url, 6379)
      async function openAnother(of: string = system, by: string = network.url): Promise<Log> {
        const log = await createRedisLog({ url: by, system: of, host, limits })
        opened.push(log)
        return log
      }
      return {
        log: await openAnother(),
        reopen: () => openAnother(),
        crash: () => openAnother(), // what a killed process leaves behind is what Redis has
        share: () => openAnother(system, url),
        ...network,
        restart: () => own!.engine.restart(), // of the world that a test of it gets
        async impostor() {
          const by = new URL(url)
          by.username = 'nobody'
          by.password = 'not-this'
          return { log: await openAnother(system, by.href), secret: 'not-this' }
        },
        stranger: () => openAnother(strange),
        lose: (source) => deleteStreams(url, `${system}/${source}`),
        stopWrites() {
          const before = setConfig(url, 'maxmemory', '1')
          return () => void setConfig(url, 'maxmemory', before)
        },
        async dispose() {
          await Promise.all(opened.map((log) => log.close()))
          await network.close()
          if (own) return own.dispose()
          for (const one of [system, strange]) await deleteStreams(url, `${one}/*`)
        },
      }
    },
  }
}

/** Deletes the streams of what a pattern of system and source matches. */
export async function deleteStreams(url: string, pattern: string): Promise<void> {
  await withClient(url, async (client) => {
    for await (const keys of client.scanIterator({ MATCH: `atoll:{${pattern}}:*`, COUNT: 1000 }))
      if (keys.length > 0) await client.del(keys)
  })
}

/** Runs `body` with a client that is nobody's log. */
export async function withClient<T>(url: string, body: (client: TestClient) => Promise<T>): Promise<T> {
  const client = openClient(url)
  client.on('error', () => {}) // its commands say so
  await client.connect()
  try {
    return await body(client)
  } finally {
    client.destroy()
  }
}

type TestClient = ReturnType<typeof openClient>

function openClient(url: string) {
  return createClient({ url, socket: { reconnectStrategy: false } })
}

function setConfig(url: string, name: string, value: string): string {
  return execFileSync(process.execPath, [join(import.meta.dirname, 'set-config.ts'), url, name, value], {
    encoding: 'utf8',
  })
}

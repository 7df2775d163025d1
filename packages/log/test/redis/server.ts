import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPorts } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { withClient } from './harness.ts'

/** Whether a test can start a Redis of its own. */
export const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0

/** A Redis of a test's own, to be killed and configured as it likes. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  start(): Promise<void>
  /** As `kill -9`; resolves when it is dead. */
  kill(): Promise<void>
}

/** Runs `body` with a Redis that syncs each write, or as `settings` say, and removes it. */
export async function withServer(
  settings: Readonly<Record<string, string>>,
  body: (server: RedisServer) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-redis-'))
  const port = await findPorts(2)
  // A cluster's nodes would speak to each other 10,000 ports higher: among those of outgoing connections, of which one
  // may be taken.
  const all = {
    port: String(port),
    'cluster-port': String(port + 1),
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    ...settings,
  }
  const credentials = settings.requirepass ? `:${settings.requirepass}@` : ''
  let child: ChildProcess | undefined
  const server: RedisServer = {
    url: `redis://${credentials}127.0.0.1:${port}`,
    port,
    async start() {
      const starting = spawn(
        'redis-server',
        Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]),
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      child = starting
      let output = ''
      starting.stdout.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-2_000)))
      await until(
        'Redis answers',
        () => starting.exitCode !== null || withClient(server.url, async (client) => (await client.ping()) === 'PONG'),
      )
      if (starting.exitCode !== null) throw new Error(`Redis ended as it started: ${output}`)
    },
    async kill() {
      const dying = child
      child = undefined
      if (!dying || dying.exitCode !== null || dying.signalCode !== null) return
      const died = once(dying, 'exit')
      dying.kill('SIGKILL')
      await died
    },
  }
  try {
    await server.start()
    await body(server)
  } finally {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engines, findPorts } from '@atoll/engines'

/** A NATS server of one test's own, to be killed and started as it likes. */
export interface NatsServer {
  readonly url: string
  /** Its monitoring port. */
  readonly monitoring: string
  /** Starts it on its data, with other settings if these are given. Resolves when it takes connections. */
  start(settings?: string): Promise<void>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
}

/** Runs `body` with a server that is not started yet, and removes it. */
export async function withNatsServer(body: (server: NatsServer) => Promise<void>): Promise<void> {
  const server = await createNatsServer()
  try {
    await body(server)
  } finally {
    await server.dispose()
  }
}

/** A server that is not started yet. `startEngine` has one set of settings; what is tested here needs others. */
export async function createNatsServer(): Promise<NatsServer & { dispose(): Promise<void> }> {
  const program = await engines.nats.install()
  const folder = mkdtempSync(join(tmpdir(), 'atoll-nats-'))
  const port = await findPorts(2)
  const monitoringPort = port + 1
  let child: ChildProcess | undefined

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  return {
    url: `nats://127.0.0.1:${port}`,
    monitoring: `http://127.0.0.1:${monitoringPort}`,
    async start(settings = 'jetstream { store_dir: "data", sync_interval: always }') {
      writeFileSync(
        join(folder, 'nats.conf'),
        `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitoringPort}"\n${settings}\n`,
      )
      const { file, args } = program.command({ folder, port })
      child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
      await saysReady(child)
    },
    kill,
    async dispose() {
      await kill()
      rmSync(folder, { recursive: true })
    },
  }
}

async function saysReady(child: ChildProcess): Promise<void> {
  let output = ''
  for await (const chunk of child.stderr!.iterator({ destroyOnReturn: false })) {
    output += String(chunk)
    if (output.includes('Server is ready')) {
      child.stderr!.resume()
      return
    }
  }
  throw new Error(`nats-server ended before it was ready:\n${output}`)
}

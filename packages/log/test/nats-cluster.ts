import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engines, findPorts } from '@atoll/engines'
import { saysReady } from './nats-server.ts'

/** One of the servers. */
export interface NatsNode {
  readonly name: string
  readonly url: string
  readonly monitoring: string
  start(): Promise<void>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
  /** The same, and its data are gone, too. */
  lose(): Promise<void>
}

/** Runs `body` with a cluster of three servers. */
export async function withNatsCluster(body: (nodes: readonly NatsNode[]) => Promise<void>): Promise<void> {
  const program = await engines.nats.install()
  const folder = mkdtempSync(join(tmpdir(), 'atoll-nats-cluster-'))
  const port = await findPorts(9)
  const routes = [0, 1, 2].map((at) => `nats://127.0.0.1:${port + 3 + at}`)
  const nodes = routes.map((_, at) => createNode(at))

  function createNode(at: number): NatsNode {
    const home = join(folder, `n${at}`)
    let child: ChildProcess | undefined
    const node: NatsNode = {
      name: `n${at}`,
      url: `nats://127.0.0.1:${port + at}`,
      monitoring: `http://127.0.0.1:${port + 6 + at}`,
      async start() {
        mkdirSync(home, { recursive: true })
        writeFileSync(
          join(home, 'nats.conf'),
          [
            `server_name: ${node.name}`,
            `listen: "127.0.0.1:${port + at}"`,
            `http: "127.0.0.1:${port + 6 + at}"`,
            'jetstream { store_dir: "data", sync_interval: always }',
            `cluster { name: test, listen: "127.0.0.1:${port + 3 + at}", routes: ${JSON.stringify(routes)} }`,
          ].join('\n'),
        )
        const { file, args } = program.command({ folder: home, port: port + at })
        child = spawn(file, args, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] })
        await saysReady(child)
      },
      async kill() {
        if (!child || child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      },
      async lose() {
        await node.kill()
        rmSync(home, { recursive: true })
      },
    }
    return node
  }

  try {
    await Promise.all(nodes.map((node) => node.start()))
    await body(nodes)
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
    rmSync(folder, { recursive: true })
  }
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import type { Engine, Member, Place } from '../engine.ts'
import { cached } from '../install/cache.ts'
import { findProgram, runCommand, tell } from '../install/command.ts'
import { HOST } from '../run/ports.ts'

/** Debian's 2.9 lacks what the driver needs; this one is built from its Go module. */
const VERSION = '2.14.6'

/** NATS with JetStream that answers after its file is synced. */
export const nats: Engine = {
  name: 'nats',
  port: 21_422,
  // For clients; and in a cluster for its members, and for whoever asks how it is.
  ports: 3,
  stopSignal: 'SIGINT',

  async install() {
    const program = join(await cached(`nats-server-${VERSION}`, build), 'nats-server')
    return {
      prepare,
      command: ({ folder }) => ({ file: program, args: ['--config', join(folder, 'nats.conf')] }),
    }
  },

  url: (port) => `nats://${HOST}:${port}`,

  hasJoined,

  // JetStream itself is asked, not only the server.
  probe: {
    send: 'CONNECT {"verbose":false}\r\nSUB ready 1\r\nPUB $JS.API.INFO ready 0\r\n\r\n',
    accepts: (answer) =>
      /^MSG ready .*\r\n.*"type":"io\.nats\.jetstream\.api\.v1\.account_info_response"/m.test(answer.toString('utf8')),
  },
}

/** As in compose.yaml. */
export const settings = ['sync_interval: always'] as const

async function prepare({ folder, port, cluster }: Place): Promise<void> {
  const jetstream = [`store_dir: ${JSON.stringify(join(folder, 'jetstream'))}`, ...settings]
  const routes = (cluster?.ports ?? []).map((each) => `nats://${HOST}:${each + 1}`)
  const lines = [
    `host: ${HOST}`,
    `port: ${port}`,
    `server_name: atoll${cluster ? `-${cluster.index + 1}` : ''}`,
    `jetstream {\n${jetstream.map((line) => `  ${line}\n`).join('')}}`,
    ...(cluster
      ? [
          `http: "${HOST}:${port + 2}"`,
          `cluster { name: atoll, listen: "${HOST}:${port + 1}", routes: ${JSON.stringify(routes)} }`,
        ]
      : []),
  ]
  await writeFile(join(folder, 'nats.conf'), lines.map((line) => `${line}\n`).join(''))
}

/** Streams are made on servers that their leader knows. */
async function hasJoined({ port, cluster }: Member): Promise<boolean> {
  const answer = await fetch(`http://${HOST}:${port + 2}/jsz`).catch(() => undefined)
  // as the server documents it
  const page = (await answer?.json()) as { meta_cluster?: { leader?: string; cluster_size?: number } } | undefined
  return page?.meta_cluster?.leader !== undefined && page.meta_cluster.cluster_size === cluster.ports.length
}

async function build(folder: string): Promise<void> {
  const go = findProgram('go', '/usr/local/go/bin')
  if (!go)
    throw new AtollError(
      'UNSUPPORTED',
      `NATS ${VERSION} is built by Go, which is not installed; install Go 1.25 or later, or use Docker`,
    )
  tell(`building NATS ${VERSION} (go install) …`)
  await runCommand(go, ['install', `github.com/nats-io/nats-server/v2@v${VERSION}`], {
    env: { GOBIN: folder },
    boundMs: BUILD_MS,
  })
}

const BUILD_MS = 600_000

import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, Member, Place, Program } from '../engine.ts'
import { findProgram } from '../install/command.ts'
import { installPackage } from '../install/debian.ts'
import { HOST } from '../run/ports.ts'

const USER = 'atoll'
const PASSWORD = 'atoll'

/**
 * RabbitMQ with streams, apart from one that the system may run: its own node, cookie, ports and folders, and its own
 * port mapper.
 */
export const rabbitmq: Engine = {
  name: 'rabbitmq',
  port: 21_472,
  // AMQP, streams, Erlang's distribution, and its port mapper; the members of a cluster share one, and have the
  // management plugin there.
  ports: 4,
  stopSignal: 'SIGTERM',

  async install() {
    const program = findServer() ?? (await installPackage('rabbitmq-server'), findServer() ?? 'rabbitmq-server')
    return {
      prepare,
      command(place) {
        const env = environment(place)
        return place.cluster
          ? { file: program, args: [], env }
          : { file: 'sh', args: ['-c', SCRIPT, program, env.ERL_EPMD_PORT], env }
      },
    }
  },

  url: (port) => `rabbitmq://${USER}:${PASSWORD}@${HOST}:${port}?stream=${port + 1}`,

  // A server of AMQP 0-9-1 begins with the method Start, on channel 0.
  probe: { send: 'AMQP\0\0\x09\x01', accepts: (answer) => answer.subarray(0, 3).equals(Buffer.from([1, 0, 0])) },

  isSettled,
  hasJoined,

  // Where nodes find each other. It belongs to a machine, and a killed node is not to take away that of the others.
  companion: {
    name: 'rabbitmq',
    port: 21_475,
    ports: 1,
    stopSignal: 'SIGTERM',
    install: async (): Promise<Program> => ({
      prepare: async () => {},
      command: ({ port }) => ({ file: 'epmd', args: ['-port', String(port), '-address', HOST] }),
    }),
    url: (port) => `epmd://${HOST}:${port}`,
    // Which nodes are there; it answers with its own port first.
    probe: { send: '\0\x01n', accepts: (answer) => answer.length >= 4 },
  },
}

/** As in compose.yaml. */
export const settings = { 'stream.advertised_host': HOST } as const

/** What is there from the beginning. The stream is never used: see {@link isSettled}. */
export const definitions = {
  users: [{ name: USER, password: PASSWORD, tags: 'administrator' }],
  vhosts: [{ name: '/' }],
  permissions: [{ user: USER, vhost: '/', configure: '.*', write: '.*', read: '.*' }],
  queues: [{ name: 'first', vhost: '/', durable: true, auto_delete: false, arguments: { 'x-queue-type': 'stream' } }],
} as const

/** Debian's wrapper in PATH insists on the user and folders of the system's own node. */
function findServer(): string | undefined {
  return findProgram('rabbitmq-server', '/usr/lib/rabbitmq/bin')
}

async function prepare({ folder, port, cluster }: Place): Promise<void> {
  const places = {
    'listeners.tcp.1': `${HOST}:${port}`,
    'stream.listeners.tcp.1': `${HOST}:${port + 1}`,
    'stream.advertised_port': String(port + 1),
    load_definitions: join(folder, 'definitions.json'),
    'log.console': 'true',
    'log.file': 'false',
    ...(cluster && {
      'cluster_formation.peer_discovery_backend': 'classic_config',
      'management.tcp.ip': HOST,
      'management.tcp.port': String(port + 3),
    }),
    ...Object.fromEntries(
      (cluster?.ports ?? []).map((_, index) => [`cluster_formation.classic_config.nodes.${index + 1}`, nodeOf(index)]),
    ),
  }
  await writeFile(
    join(folder, 'rabbitmq.conf'),
    Object.entries({ ...settings, ...places })
      .map(([key, value]) => `${key} = ${value}\n`)
      .join(''),
  )
  await writeFile(
    join(folder, 'definitions.json'),
    JSON.stringify(cluster ? { ...definitions, queues: [] } : definitions),
  ) // a stream that is made before all members are there, lies on those that are
  await writeFile(
    join(folder, 'enabled_plugins'),
    cluster ? '[rabbitmq_management,rabbitmq_stream].\n' : '[rabbitmq_stream].\n',
  )
  const cookie = join(folder, '.erlang.cookie')
  if (!existsSync(cookie)) await writeFile(cookie, cluster?.secret ?? crypto.randomUUID(), { mode: 0o400 })
}

/**
 * With its first stream, a node notes who keeps account of streams, and writes that note to its file half a second
 * later: killed in between, it never finds a stream again. So it is ready when the note is there, which a stream that
 * nobody uses brings about.
 */
async function isSettled(folder: string): Promise<boolean> {
  const node = nodeOf()
  const notes = join(folder, 'data', node, 'coordination', node, 'names.dets')
  // Where there is no such file, another version keeps this otherwise.
  return !existsSync(notes) || (await readFile(notes, 'latin1')).includes('rabbit_stream_coordinator')
}

/** A node notes whom it sees running. */
async function hasJoined({ folder, cluster }: Member): Promise<boolean> {
  const notes = join(folder, 'data', nodeOf(cluster.index), 'nodes_running_at_shutdown')
  if (!existsSync(notes)) return false
  const running = await readFile(notes, 'latin1')
  return cluster.ports.every((_, index) => running.includes(nodeOf(index)))
}

/** What it is called: a name of its own among the members of a cluster. */
function nodeOf(index?: number): string {
  return index === undefined ? 'atoll@localhost' : `atoll-${index + 1}@localhost`
}

function environment({ folder, port, cluster }: Place) {
  return {
    HOME: folder,
    RABBITMQ_NODENAME: nodeOf(cluster?.index),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_DIST_PORT: String(port + 2),
    // No busy waiting: it shares the machine with others.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    // Its start script then becomes the server, instead of standing between it and us.
    RUNNING_UNDER_SYSTEMD: 'true',
    ERL_EPMD_ADDRESS: HOST,
    ERL_EPMD_PORT: String(cluster?.companionPort ?? port + 3),
    // Else Erlang starts a port mapper that outlives it.
    ERL_ZFLAGS: '-start_epmd false',
  }
}

/** Starts the port mapper in the same process group, and then the server in the place of the shell. */
const SCRIPT = `epmd -port "$1" &
until epmd -port "$1" -names >/dev/null 2>&1; do kill -0 $! || exit 1; done
exec "$0"`

import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, Place } from '../engine.ts'
import { findProgram } from '../install/command.ts'
import { installPackage } from '../install/debian.ts'
import { HOST } from '../run/ports.ts'

const NODE = 'atoll@localhost'
const USER = 'atoll'
const PASSWORD = 'atoll'

/** RabbitMQ with streams, apart from one that the system may run: its own node, cookie, ports and folders, and its own port mapper. */
export const rabbitmq: Engine = {
  name: 'rabbitmq',
  port: 21_472,
  // AMQP, streams, Erlang's distribution, and its port mapper.
  ports: 4,
  stopSignal: 'SIGTERM',

  async install() {
    const program = findServer() ?? (await installPackage('rabbitmq-server'), findServer() ?? 'rabbitmq-server')
    return {
      prepare,
      command: (place) => ({ file: 'sh', args: ['-c', SCRIPT, program, String(place.port + 3)], env: environment(place) }),
    }
  },

  url: (port) => `rabbitmq://${USER}:${PASSWORD}@${HOST}:${port}?stream=${port + 1}`,

  // A server of AMQP 0-9-1 begins with the method Start, on channel 0.
  probe: { send: 'AMQP\0\0\x09\x01', accepts: (answer) => answer.subarray(0, 3).equals(Buffer.from([1, 0, 0])) },

  isSettled,
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

async function prepare({ folder, port }: Place): Promise<void> {
  const places = {
    'listeners.tcp.1': `${HOST}:${port}`,
    'stream.listeners.tcp.1': `${HOST}:${port + 1}`,
    'stream.advertised_port': String(port + 1),
    load_definitions: join(folder, 'definitions.json'),
    'log.console': 'true',
    'log.file': 'false',
  }
  await writeFile(join(folder, 'rabbitmq.conf'), Object.entries({ ...settings, ...places }).map(([key, value]) => `${key} = ${value}\n`).join(''))
  await writeFile(join(folder, 'definitions.json'), JSON.stringify(definitions))
  await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_stream].\n')
  const cookie = join(folder, '.erlang.cookie')
  if (!existsSync(cookie)) await writeFile(cookie, crypto.randomUUID(), { mode: 0o400 })
}

/**
 * With its first stream, a node notes who keeps account of streams, and writes that note to its file half a second later: killed in between,
 * it never finds a stream again. So it is ready when the note is there, which a stream that nobody uses brings about.
 */
async function isSettled(folder: string): Promise<boolean> {
  const notes = join(folder, 'data', NODE, 'coordination', NODE, 'names.dets')
  // Where there is no such file, another version keeps this otherwise.
  return !existsSync(notes) || (await readFile(notes, 'latin1')).includes('rabbit_stream_coordinator')
}

function environment({ folder, port }: Place): Record<string, string> {
  return {
    HOME: folder,
    RABBITMQ_NODENAME: NODE,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_DIST_PORT: String(port + 2),
    // No busy waiting: it shares the machine with others.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    // Its start script then becomes the server, instead of standing between it and us.
    RUNNING_UNDER_SYSTEMD: 'true',
    ERL_EPMD_ADDRESS: HOST,
    ERL_EPMD_PORT: String(port + 3),
    // Else Erlang starts a port mapper that outlives it.
    ERL_ZFLAGS: '-start_epmd false',
  }
}

/** Starts the port mapper in the same process group, and then the server in the place of the shell. */
const SCRIPT = `epmd -port "$1" &
until epmd -port "$1" -names >/dev/null 2>&1; do kill -0 $! || exit 1; done
exec "$0"`

import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AtollError } from '@atoll/host'
import type { Engine, Place } from '../engine.ts'
import { cached } from '../install/cache.ts'
import { findProgram, runCommand, tell } from '../install/command.ts'
import { answers } from '../run/answers.ts'
import { HOST } from '../run/ports.ts'

const VERSION = '4.2.0'

/** One node of Kafka that is broker and controller, and syncs its files before it answers. */
export const kafka: Engine = {
  name: 'kafka',
  port: 21_492,
  // The second is its controller's, the third for clients behind a proxy.
  ports: 3,
  portForProxy: 2,
  stopSignal: 'SIGTERM',

  async install() {
    const java = findProgram('java')
    if (!java)
      throw new AtollError(
        'UNSUPPORTED',
        `Kafka ${VERSION} needs Java 17 or later, which is not installed; install it, or use Docker`,
      )
    const jars = await cached(`kafka-${VERSION}`, copyJars)
    const options = [
      '-cp',
      join(jars, '*'),
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Xms128m',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    ]
    return {
      prepare: (place) => prepare(place, (args) => runCommand(java, [...options, ...args], { boundMs: FORMAT_MS })),
      command: ({ folder, cluster }) => ({
        file: java,
        args: [...options, cluster ? '-Xmx256m' : '-Xmx384m', 'kafka.Kafka', join(folder, 'server.properties')],
      }),
    }
  },

  url: (port) => `kafka://${HOST}:${port}`,

  // Metadata, version 1, of no topic. It names no broker before it lets clients in.
  probe: { send: metadataRequest(), accepts: (answer) => brokersIn(answer) > 0 },

  hasJoined: ({ port, cluster }) =>
    answers(HOST, port, { send: metadataRequest(), accepts: (answer) => brokersIn(answer) === cluster.ports.length }),
}

/** As in compose.yaml. */
export const settings = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'log.flush.interval.messages': '1',
  'auto.create.topics.enable': 'false',
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  // After a crash it waits until its former self has lost its session.
  'broker.session.timeout.ms': '1500',
  'broker.heartbeat.interval.ms': '300',
} as const

/**
 * What is different where three keep each record: it need not be on a disk before it is acknowledged, but on two of
 * them.
 */
const clusterSettings = {
  'log.flush.interval.messages': String(Number.MAX_SAFE_INTEGER),
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  // A third of what it is by default: for so long nobody leads what a killed broker led.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
} as const

async function copyJars(folder: string): Promise<void> {
  const maven = findProgram('mvn')
  if (!maven)
    throw new AtollError(
      'UNSUPPORTED',
      `Kafka ${VERSION} is fetched by Maven, which is not installed; install it, or use Docker`,
    )
  tell(`fetching Kafka ${VERSION} (mvn dependency:copy-dependencies) …`)
  const pom = fileURLToPath(new URL('kafka.pom.xml', import.meta.url))
  await runCommand(
    maven,
    [
      '-q',
      '-B',
      '-f',
      pom,
      `-Dkafka.version=${VERSION}`,
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${folder}`,
    ],
    { boundMs: FETCH_MS },
  )
}

async function prepare(
  { folder, port, proxyPort, cluster }: Place,
  java: (args: readonly string[]) => Promise<string>,
): Promise<void> {
  const data = join(folder, 'data')
  const properties = join(folder, 'server.properties')
  const places = {
    'log.dirs': data,
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${port + 1}${proxyPort === undefined ? '' : `,PROXY://${HOST}:${port + 2}`}`,
    'controller.listener.names': 'CONTROLLER',
    // Who comes through a proxy is sent on through it, and the broker itself never goes there.
    ...(proxyPort !== undefined && {
      'advertised.listeners': `PLAINTEXT://${HOST}:${port},PROXY://${HOST}:${proxyPort}`,
      'inter.broker.listener.name': 'PLAINTEXT',
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT',
    }),
    'controller.quorum.voters': (cluster?.ports ?? [port])
      .map((each, index) => `${index + 1}@${HOST}:${each + 1}`)
      .join(','),
    ...(cluster && { 'node.id': String(cluster.index + 1), ...clusterSettings }),
  }
  await writeFile(
    properties,
    Object.entries({ ...settings, ...places })
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  if (existsSync(join(data, 'meta.properties'))) return
  await java(['kafka.tools.StorageTool', 'format', '--cluster-id', CLUSTER, '--config', properties])
}

/** Any UUID in Kafka's own spelling. */
const CLUSTER = 'YXRvbGwtZW5naW5lcy0wMQ'

function brokersIn(answer: Buffer): number {
  return answer.length >= 12 ? answer.readInt32BE(8) : 0
}

function metadataRequest(): Buffer {
  const request = Buffer.alloc(18)
  request.writeInt32BE(14, 0) // length of what follows
  request.writeInt16BE(3, 4) // Metadata
  request.writeInt16BE(1, 6) // version
  request.writeInt32BE(1, 8) // number of the request
  request.writeInt16BE(-1, 12) // no name of the client
  request.writeInt32BE(0, 14) // no topics
  return request
}

const FETCH_MS = 600_000
const FORMAT_MS = 60_000

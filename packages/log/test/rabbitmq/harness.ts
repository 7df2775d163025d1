import { pause } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { connect, type ChannelModel } from 'amqplib'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { createRabbitmqLog, defaultLimits, type RabbitmqLogLimits } from '../../src/rabbitmq.ts'
import { createNetwork } from '../network.ts'
import { startOwnEngine } from '../own-engine.ts'

const host = createNodeHost()

/** A system name that no other test has. */
export function freshSystem(): string {
  return `test-${host.hex(6)}`
}

/** Worlds of logs on a running RabbitMQ, each of a system of its own. */
export function createRabbitmqHarness(shared: string, limits: Partial<RabbitmqLogLimits> = {}): LogHarness {
  return {
    capabilities: {
      checksAppends: false,
      persistent: true,
      canBeDurable: false,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    faults: [
      'crash',
      'lose',
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
      const own = fault === 'restart' ? await startOwnEngine('rabbitmq') : undefined
      const url = own?.engine.url ?? shared
      const system = freshSystem()
      const opened: Log[] = []
      const streams = new Set<string>()
      const strange = freshSystem()
      const network = await createNetwork(url, 5672)
      async function openAnother(of: string = system, by: string = network.url): Promise<Log> {
        const log = noting(await createRabbitmqLog({ url: by, system: of, host, limits }), of, streams)
        opened.push(log)
        return log
      }
      return {
        log: await openAnother(),
        reopen: () => openAnother(),
        share: () => openAnother(system, url),
        ...network,
        restart: () => own!.engine.restart(), // of the world that a test of it gets
        async impostor() {
          const by = new URL(url.replace(/^rabbitmq/, 'amqp'))
          by.password = 'not-this'
          return { log: await openAnother(system, by.href), secret: 'not-this' }
        },
        stranger: () => openAnother(strange),
        crash: () => openAnother(), // what a killed process leaves behind is what RabbitMQ has
        lose: (source) =>
          deleteStreams(
            url,
            [...streams].filter((stream) => stream.startsWith(`atoll/${system}/${source}/`)),
          ),
        async dispose() {
          await Promise.all(opened.map((log) => log.close()))
          await network.close()
          if (own) await own.dispose()
          else await deleteStreams(url, streams)
        },
      }
    },
  }
}

/** The log, noting the streams that it may make: RabbitMQ does not list them to its clients. */
export function noting(log: Log, system: string, streams: Set<string>): Log {
  return {
    ...log,
    append(source, records) {
      for (const { partition } of records) streams.add(`atoll/${system}/${source}/${partition}`)
      return log.append(source, records)
    },
  }
}

export async function deleteStreams(url: string, streams: Iterable<string>): Promise<void> {
  await withModel(url, async (model) => {
    const channel = await model.createChannel()
    for (const stream of streams) if (stream.length <= 255) await channel.deleteQueue(stream)
  })
}

/** Runs `body` with a connection that is nobody's log. */
export async function withModel<T>(url: string, body: (model: ChannelModel) => Promise<T>): Promise<T> {
  const model = await connect(url.replace(/^rabbitmq/, 'amqp'))
  model.on('error', () => {}) // what it does says so
  try {
    return await body(model)
  } finally {
    await model.close().catch(() => undefined) // it may have ended by itself
  }
}

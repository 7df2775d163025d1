import type { Examination, Finding } from '@atoll/host'
import type { ChannelModel } from 'amqplib'
import type { WriterConnection } from './client.ts'
import { codeOf, isMissing } from './errors.ts'
import { aboutPolicies, aboutReplicas, leastReplicas } from './findings.ts'
import { streamOptions } from './lane.ts'
import type { Managed } from './management.ts'

/**
 * Says what RabbitMQ tells over AMQP: which it is, and of the streams that this log has used, whether they are as it
 * would make them. And what its management plugin tells, which `ask` resolves with, or with why it does not.
 */
export async function examineRabbitmq(
  connection: WriterConnection,
  streams: readonly string[],
  ask: () => Promise<Managed | string>,
): Promise<Examination> {
  const { product, version, blocked } = await connection.call(async ({ model, blocked }) => ({
    ...model.connection.serverProperties,
    blocked,
  }))
  const managed = await ask()
  return {
    engine: String(product),
    version: String(version),
    findings: [
      aboutVersion(String(version)),
      fsync,
      aboutReplicas(managed),
      await aboutArguments(connection, streams.slice(0, streamsMax)),
      aboutPolicies(managed),
      {
        name: 'rabbitmq.alarm',
        value: blocked ?? 'none',
        verdict: blocked === undefined ? 'holds' : 'note',
        message:
          blocked === undefined
            ? 'it takes messages'
            : 'it takes no messages, for it is short of disk or memory; make room',
      },
    ],
    // A killed broker finds in its files what the kernel has of them.
    survives: {
      'process kill': true,
      'OS crash': false,
      'power loss': false,
      'loss of a node': typeof managed !== 'string' && leastReplicas(managed) >= 3,
    },
  }
}

/** How many streams are looked at. */
const streamsMax = 256

function aboutVersion(version: string): Finding {
  const name = 'rabbitmq.version'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 3 || (major === 3 && minor < 9))
    return {
      name,
      value: version,
      verdict: 'breaks',
      message: 'streams came with RabbitMQ 3.9, so no event could be kept here; use 4.1 or later',
    }
  if (major < 4)
    return { name, value: version, verdict: 'note', message: 'its makers do not support it any more; use 4.1 or later' }
  return { name, value: version, verdict: 'holds', message: 'has all that the log needs' }
}

const fsync: Finding = {
  name: 'rabbitmq.fsync',
  value: 'never',
  verdict: 'breaks',
  message:
    'RabbitMQ confirms what a majority of the replicas of a stream has handed to the kernel, and never syncs it (promise 2). One node loses acknowledged events with its power; accept this only for three nodes or more whose power does not fail together',
}

/**
 * RabbitMQ refuses to make again what is there with other arguments, and says which differ. What is not there is not
 * made.
 */
async function aboutArguments(connection: WriterConnection, streams: readonly string[]): Promise<Finding> {
  const name = 'rabbitmq.arguments'
  const different: string[] = []
  let seen = 0
  for (const stream of streams) {
    const why = await connection.call(({ model }) => compare(model, stream))
    if (why === 'missing') continue
    seen++
    if (why !== undefined) different.push(why)
  }
  if (different.length > 0) {
    return {
      name,
      value: different.slice(0, 3).join('; '),
      verdict: 'breaks',
      message:
        'a queue or a stream with other arguments is there under the name of one of the log; with x-max-age or x-max-length-bytes it deletes events that are still needed, and as no stream at all it cannot be read twice. Copy it to one without them',
    }
  }
  if (seen === 0)
    return {
      name,
      value: 'unknown',
      verdict: 'note',
      message: 'this log has used no stream yet, and AMQP does not list them',
    }
  return {
    name,
    value: `as made, ${seen} looked at`,
    verdict: 'holds',
    message: 'the streams that this log has used keep all that is in them',
  }
}

/** What differs, in RabbitMQ's words; undefined if nothing. */
async function compare(model: ChannelModel, stream: string): Promise<string | undefined> {
  const channel = await model.createChannel() // RabbitMQ closes it if the answer is no
  channel.on('error', () => {})
  try {
    await channel.checkQueue(stream)
    await channel.assertQueue(stream, streamOptions)
    await channel.close()
    return undefined
  } catch (error) {
    if (isMissing(error)) return 'missing'
    if (codeOf(error) !== 406) throw error
    return /inequivalent[^"]*/.exec((error as Error).message)?.[0] ?? (error as Error).message // whatever has a code is an Error
  }
}

import { resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import type { RunningEngine } from './engine.ts'
import { engines } from './engines.ts'
import { findPorts } from './run/ports.ts'
import { holdsWithin } from './waiting.ts'
import { startAt } from './start.ts'

/** Each is ready by then. */
const JOIN_MS = 30_000

/** Engines of one kind that know each other, each in a process of its own. */
export interface RunningCluster {
  /** Each can be killed and restarted by itself. */
  readonly members: readonly RunningEngine[]
  /** SIGKILL to all of it. Its data stay. */
  kill(): Promise<void>
}

/**
 * Starts several engines of one kind as a cluster on this machine, all at the same time, and resolves when each of them
 * is ready and knows the others. As with `startEngine`, they listen on loopback alone and end when this process does. A
 * member keeps its data in a folder of its own in `folder`.
 */
export async function startCluster(
  name: 'nats' | 'rabbitmq' | 'kafka',
  { folder, size = 3 }: { folder: string; size?: number },
): Promise<RunningCluster> {
  const engine = engines[name]
  const program = await engine.install()
  const running: RunningEngine[] = []
  const kill = async (): Promise<void> => void (await Promise.all(running.map((each) => each.kill())))
  try {
    const companionPort = engine.companion ? await findPorts(engine.companion.ports) : 0
    if (engine.companion)
      running.push(
        await startAt(engine.companion, await engine.companion.install(), {
          folder: resolve(folder, 'companion'),
          port: companionPort,
        }),
      )
    const ports = await Promise.all(Array.from({ length: size }, () => findPorts(engine.ports)))
    const secret = crypto.randomUUID()
    const places = ports.map((port, index) => ({
      folder: resolve(folder, String(index + 1)),
      port,
      cluster: { ports, index, companionPort, secret },
    }))
    const starts = await Promise.allSettled(places.map((place) => startAt(engine, program, place)))
    const members = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    running.push(...members)
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    const { hasJoined = async () => true } = engine
    const isOne = await holdsWithin(JOIN_MS, async () => (await Promise.all(places.map(hasJoined))).every(Boolean))
    if (!isOne)
      throw new AtollError(
        'UNAVAILABLE',
        `the ${size} of ${name} in ${folder} did not become one cluster within ${JOIN_MS / 1_000} s; look into the engine.log of each`,
      )
    return { members, kill }
  } catch (error) {
    await kill()
    throw error
  }
}

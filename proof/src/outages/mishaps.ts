import { setTimeout as after } from 'node:timers/promises'
import type { Random } from '@atoll/testkit'
import { between } from '../crash/random.ts'
import { Violation } from '../crash/round.ts'
import { LEASE_MS, type Cluster } from './cluster.ts'
import type { Served } from './engines.ts'

/**
 * Something that befalls a cluster under load. It resolves when everything runs again, though perhaps not yet ready.
 */
export interface Mishap {
  readonly name: string
  /** How often it is drawn, against others. */
  readonly weight: number
  /** What is killed by it, as often as it is, which is counted. */
  readonly kills?: readonly Killed[]
  befall(cluster: Cluster, random: Random): Promise<void>
}

export type Killed = 'service' | 'log' | 'stores' | 'gateway'

/**
 * What can befall a cluster. Services relay their own events, so whoever kills a service kills a relay. Where
 * PostgreSQL keeps the log, what befalls the stores befalls the log, and as often as both.
 */
export function mishapsOf(cluster: Cluster): readonly Mishap[] {
  if (cluster.log !== 'postgres') return all
  return all
    .filter(({ name }) => !name.includes('the log') || name.includes('a service'))
    .map((mishap) => {
      const other = all.find(({ name }) => name === mishap.name.replace('the stores', 'the log'))
      return other === mishap ? mishap : { ...mishap, weight: mishap.weight + (other?.weight ?? 0) }
    })
}

const all: readonly Mishap[] = [
  {
    name: 'a service is killed',
    weight: 6,
    kills: ['service'],
    befall: async (cluster, random) => restart(cluster, random),
  },
  {
    name: 'a service is killed, and again while it starts',
    weight: 3,
    kills: ['service', 'service'],
    async befall(cluster, random) {
      const member = random.pick(cluster.members)
      await member.end('SIGKILL')
      member.start()
      await after(between(random, 50, 900))
      await member.end('SIGKILL')
      member.start()
    },
  },
  {
    name: 'the log is killed',
    weight: 10,
    kills: ['log'],
    befall: (cluster, random) => killEngine(cluster.engines.log, random),
  },
  {
    name: 'a service and the log are killed at once',
    weight: 10,
    kills: ['service', 'log'],
    async befall(cluster, random) {
      await Promise.all([restart(cluster, random), killEngine(cluster.engines.log, random)])
    },
  },
  {
    name: 'the stores are killed',
    weight: 5,
    kills: ['stores'],
    befall: (cluster, random) => killEngine(cluster.engines.stores, random),
  },
  {
    name: 'the gateway is killed',
    weight: 1,
    kills: ['gateway'],
    async befall({ gateway, recoveryMs }) {
      await gateway.end('SIGKILL')
      gateway.start()
      if (!(await gateway.ready(recoveryMs)))
        throw new Violation(`the gateway was not ready again: ${gateway.err.slice(-2_000)}`)
    },
  },
  {
    name: 'a service stands still for longer than its lease',
    weight: 2,
    async befall(cluster, random) {
      const member = random.pick(cluster.members)
      member.signal('SIGSTOP')
      await after(LEASE_MS + between(random, 200, 2_000))
      member.signal('SIGCONT')
    },
  },
  { name: 'the log stands still', weight: 1, befall: (cluster, random) => standStill(cluster.engines.log, random) },
  {
    name: 'the stores stand still',
    weight: 1,
    befall: (cluster, random) => standStill(cluster.engines.stores, random),
  },
  {
    name: 'the network tears the connections to the log',
    weight: 2,
    befall: (cluster, random) => disturb(cluster.engines.log, 'reset', random),
  },
  {
    name: 'the network to the log goes silent',
    weight: 1,
    befall: (cluster, random) => disturb(cluster.engines.log, 'silence', random),
  },
  {
    name: 'the network to the log is slow',
    weight: 1,
    befall: (cluster, random) => disturb(cluster.engines.log, 'delay', random),
  },
  {
    name: 'the network tears the connections to the stores',
    weight: 2,
    befall: (cluster, random) => disturb(cluster.engines.stores, 'reset', random),
  },
  {
    name: 'the network to the stores goes silent',
    weight: 1,
    befall: (cluster, random) => disturb(cluster.engines.stores, 'silence', random),
  },
  {
    name: 'the network to the stores is slow',
    weight: 1,
    befall: (cluster, random) => disturb(cluster.engines.stores, 'delay', random),
  },
  {
    name: 'every service is restarted in turn',
    weight: 0.5,
    async befall(cluster) {
      await cluster.allReady(cluster.recoveryMs) // one that has hardly begun ends as anything does that is told to
      for (const instance of [0, 1]) {
        await Promise.all(
          cluster.members
            .filter((_, index) => index % 2 === instance)
            .map(async (member) => {
              const code = await member.end('SIGTERM')
              if (code !== 0)
                throw new Violation(
                  `${member.name} was told to stop and ended with ${code}: ${member.err.slice(-2_000)}`,
                )
              member.start()
              if (!(await member.ready(cluster.recoveryMs)))
                throw new Violation(`${member.name} was not ready again: ${member.err.slice(-2_000)}`)
            }),
        )
      }
    },
  },
]

async function restart(cluster: Cluster, random: Random): Promise<void> {
  const member = random.pick(cluster.members)
  await member.end('SIGKILL')
  await after(between(random, 0, 300))
  member.start()
}

async function killEngine({ engine }: Served, random: Random): Promise<void> {
  await engine.kill()
  await after(between(random, 0, 500))
  await engine.restart()
}

async function standStill({ engine }: Served, random: Random): Promise<void> {
  await engine.pause()
  await after(between(random, 300, 3_000))
  await engine.resume()
}

async function disturb({ proxy }: Served, how: 'reset' | 'silence' | 'delay', random: Random): Promise<void> {
  if (how === 'delay') await proxy.delay(between(random, 20, 200))
  else await proxy[how]()
  await after(between(random, 200, 2_500))
  await proxy.pass()
}

import { join } from 'node:path'
import type { LogEngine } from '../engines/logs.ts'
import { median } from '../result.ts'
import { withContender, type Contender, type Round, type RunningContender } from './contender.ts'

const ROUNDS = 5
/** Requests under way at a time. */
const IN_FLIGHT = 64
const WARM_UP = 2_000
/** What one round is to take of the slower one. */
const ROUND_SECONDS = 1.2
const COUNT_MIN = 300
const COUNT_MAX = 3_000

/** What a user might pick instead, and the engine that it runs on; all keep their rows in PostgreSQL. */
export interface Peer {
  readonly name: string
  readonly program: string
  readonly variant?: string
  readonly engine: LogEngine
  /** Whether the event is handed on in the transaction of the order. If not, a crash in between loses it. */
  readonly isAtomic: boolean
}

export const peers: readonly Peer[] = [
  { name: 'Moleculer Channels', program: 'moleculer', engine: 'nats', isAtomic: false },
  { name: 'NestJS microservices', program: 'nest', engine: 'rabbitmq', isAtomic: false },
  { name: 'Moleculer Channels', program: 'moleculer', engine: 'redis', isAtomic: false },
  { name: 'BullMQ', program: 'bullmq', engine: 'redis', isAtomic: false },
  { name: 'pg-boss, polling', program: 'pg-boss', engine: 'postgres', isAtomic: true },
  { name: 'pg-boss, notified', program: 'pg-boss', variant: 'notified', engine: 'postgres', isAtomic: true },
  { name: 'DBOS', program: 'dbos', engine: 'postgres', isAtomic: true },
]

/**
 * A peer and Atoll on the same engine: medians of their rounds, and of the ratios of rounds that followed each other.
 */
export interface Comparison {
  readonly peer: Peer
  readonly theirs: Round
  readonly ours: Round
  /** Atoll's orders a second, of the peer's. */
  readonly ratio: number
  /** Orders in each round. */
  readonly count: number
}

/** Both do the same work with both services in processes of their own, by turns; whose turn it is not is halted. */
export async function comparePeer(peer: Peer, url: string, postgres: string): Promise<Comparison> {
  const { engine, name, program, variant } = peer
  const theirs: Contender = {
    name,
    file: join(import.meta.dirname, '../../peers/src', `${program}.ts`),
    engine: toUrl(url),
    ...(variant !== undefined && { variant }),
  }
  const ours: Contender = {
    name: 'Atoll',
    file: join(import.meta.dirname, 'atoll.ts'),
    engine: url,
    variant: engine,
    tables: (run) => [`"${run}_orders".orders`, `"${run}_shipping".shipments`],
  }
  return withContender(theirs, postgres, async (peerRuns) => {
    const warm = await peerRuns.measure(WARM_UP, IN_FLIGHT)
    peerRuns.pause()
    return withContender(ours, postgres, async (atollRuns) => {
      const { perSecond } = await atollRuns.measure(WARM_UP, IN_FLIGHT)
      atollRuns.pause()
      const count = Math.min(
        COUNT_MAX,
        Math.max(COUNT_MIN, Math.round((Math.min(warm.perSecond, perSecond) * ROUND_SECONDS) / 100) * 100),
      )
      const rounds: { theirs: Round; ours: Round }[] = []
      for (let round = 0; round < ROUNDS; round++)
        rounds.push({ theirs: await takeTurn(peerRuns, count), ours: await takeTurn(atollRuns, count) })
      return {
        peer,
        theirs: medians(rounds.map((round) => round.theirs)),
        ours: medians(rounds.map((round) => round.ours)),
        ratio: median(rounds.map((round) => round.ours.perSecond / round.theirs.perSecond)),
        count,
      }
    })
  })
}

async function takeTurn(running: RunningContender, count: number): Promise<Round> {
  running.resume()
  const round = await running.measure(count, IN_FLIGHT)
  running.pause()
  return round
}

function medians(rounds: readonly Round[]): Round {
  const of = (what: keyof Round): number => median(rounds.map((round) => round[what]))
  return {
    perSecond: of('perSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    answerP50Ms: of('answerP50Ms'),
    cpuMs: of('cpuMs'),
  }
}

/** As the clients of peers write it: with the scheme of the protocol, and none of our parameters. */
function toUrl(url: string): string {
  return url.startsWith('rabbitmq:') ? url.replace('rabbitmq:', 'amqp:').replace(/\?.*$/, '') : url
}

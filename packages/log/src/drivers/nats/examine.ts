import type { Examination, Finding, Host } from '@atoll/host'
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from '@nats-io/jetstream'
import type { NatsLogLimits } from './limits.ts'
import { NobodyAnswers, toAtollError } from './errors.ts'
import { isVersionAtLeast, type Session } from './session.ts'
import type { Streams } from './streams.ts'

interface Examined {
  readonly replicas: number
  /** Where servers tell their settings over HTTP. */
  readonly monitoring: readonly string[]
}

/** Reads the settings of the server and of this system's streams. Changes nothing. */
export async function examine(
  session: Session,
  streams: Streams,
  { replicas, monitoring }: Examined,
  host: Host,
  limits: NatsLogLimits,
): Promise<Examination> {
  const version = session.connection.info?.version ?? 'unknown'
  const findings: Finding[] = [examineVersion(version), examinePayload(session.payloadBytesMax, limits.dataBytesMax)]
  const sync = await examineSync(monitoring, limits.callMs)
  findings.push(sync)
  let found: readonly StreamInfo[] = []
  try {
    const askedAt = host.now()
    found = await streams.list(session)
    findings.push({ name: 'nats.jetstream', value: 'enabled', verdict: 'holds', message: 'streams can be kept' })
    findings.push(examineClock(found, askedAt, host.now()))
  } catch (error) {
    if (!(error instanceof NobodyAnswers)) throw toAtollError(error, 'examining NATS')
    findings.push({
      name: 'nats.jetstream',
      value: 'off',
      verdict: 'breaks',
      message:
        'without JetStream nothing is kept: set jetstream in the configuration of the server, and enable it for this account',
    })
  }
  findings.push(...examineStreams(found), examineReplicas(found, replicas))

  const isBroken = findings.some(({ name, verdict }) => verdict === 'breaks' && losing.has(name))
  const syncs = sync.verdict === 'holds' && !isBroken
  const replicasMin = Math.min(replicas, ...found.map(({ config }) => config.num_replicas))
  return {
    engine: 'NATS JetStream',
    version,
    findings,
    survives: {
      'process kill': !isBroken,
      'OS crash': syncs,
      'power loss': syncs,
      'loss of a node': replicasMin >= 3 && !isBroken,
    },
  }
}

/** What makes records vanish without any mishap. */
const losing: ReadonlySet<string> = new Set(['nats.jetstream', 'nats.storage', 'nats.persist-mode', 'nats.retention'])

function examineVersion(version: string): Finding {
  const name = 'nats.version'
  if (isVersionAtLeast(version, 2, 14))
    return { name, value: version, verdict: 'holds', message: 'has what this log uses' }
  if (isVersionAtLeast(version, 2, 12))
    return {
      name,
      value: version,
      verdict: 'note',
      message: 'works; 2.14 has corrections for damaged files and for changes of membership. Upgrade',
    }
  return {
    name,
    value: version,
    verdict: 'breaks',
    message:
      'versions before 2.12 have lost whole streams when they were killed, and cannot write several messages as one: upgrade to 2.14',
  }
}

function examinePayload(payloadBytesMax: number, dataBytesMax: number): Finding {
  const name = 'nats.max-payload'
  const value = String(payloadBytesMax)
  if (payloadBytesMax >= dataBytesMax + besidesDataBytes)
    return {
      name,
      value,
      verdict: 'holds',
      message: `takes data of dataBytesMax (${dataBytesMax}) and what goes with it`,
    }
  return {
    name,
    value,
    verdict: 'breaks',
    message: `data of dataBytesMax (${dataBytesMax}) does not fit in with its other fields: an event that the log promises to take would stand in its outbox. Set max_payload to ${dataBytesMax + besidesDataBytes} or more, or lower dataBytesMax`,
  }
}

/** Room for key, ids, trace and headers. */
const besidesDataBytes = 16 * 1024

async function examineSync(monitoring: readonly string[], timeoutMs: number): Promise<Finding> {
  const name = 'nats.sync-interval'
  if (monitoring.length === 0) {
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message:
        'a server tells its sync_interval only over its monitoring port: set http_port there and give its URL as `log.monitoring` (ATOLL_LOG_MONITORING). Unless it is always, a crash of the machine loses what was acknowledged, two minutes of it by default',
    }
  }
  const values: string[] = []
  for (const url of monitoring) {
    try {
      const answer = await fetch(new URL('/varz', url), { signal: AbortSignal.timeout(timeoutMs) })
      const { jetstream } = (await answer.json()) as {
        jetstream?: { config?: { sync_always?: boolean; sync_interval?: number } }
      } // as the server documents it
      const { config } = jetstream ?? {}
      values.push(
        config?.sync_always
          ? 'always'
          : config?.sync_interval === undefined
            ? 'unknown'
            : `${config.sync_interval / 1e9} s`,
      ) // it says nanoseconds
    } catch (error) {
      return {
        name,
        value: 'unknown',
        verdict: 'unknown',
        message: `the monitoring port of a server cannot be read (${error instanceof Error ? error.message : String(error)}); check \`log.monitoring\``,
      }
    }
  }
  const value = [...new Set(values)].join(', ')
  if (value === 'always') return { name, value, verdict: 'holds', message: 'what is acknowledged is on disk' }
  return {
    name,
    value,
    verdict: 'breaks',
    message:
      'acknowledged before it is on disk: a crash of the machine or the loss of power loses acknowledged events, also with replicas. Set jetstream { sync_interval: always }',
  }
}

function examineReplicas(found: readonly StreamInfo[], replicas: number): Finding {
  const name = 'nats.replicas'
  const least = Math.min(replicas, ...found.map(({ config }) => config.num_replicas))
  if (least >= 3) return { name, value: String(least), verdict: 'holds', message: 'survives the loss of a server' }
  return {
    name,
    value: String(least),
    verdict: 'note',
    message: `a stream on ${least === 1 ? 'one server is gone with it' : 'two servers stands still without either'}, and every partition with it until that is restored: set \`log.replicas\` to 3 in a cluster, and raise it on the streams that are there`,
  }
}

function examineClock(found: readonly StreamInfo[], askedAt: number, answeredAt: number): Finding {
  const name = 'nats.clock'
  const told = found.map(({ ts }) => Date.parse(ts ?? '')).find((time) => !Number.isNaN(time))
  if (told === undefined)
    return {
      name,
      value: 'unknown',
      verdict: 'note',
      message: 'a server tells its time only together with a stream, and there is none yet',
    }
  const skewMs = Math.round(told < askedAt ? told - askedAt : told > answeredAt ? told - answeredAt : 0)
  const value = `${skewMs} ms`
  if (Math.abs(skewMs) < 1_000)
    return { name, value, verdict: 'holds', message: 'the server and this machine agree on the time' }
  return {
    name,
    value,
    verdict: 'note',
    message:
      'the clocks of the server and of this machine differ; nothing is ordered by them, but people will wonder. Synchronize them',
  }
}

/** One finding for each rule: what breaks it, by stream. */
function examineStreams(found: readonly StreamInfo[]): Finding[] {
  return rules.map(({ name, verdict, good, message, problem }) => {
    const problems = found.flatMap(({ config }) => problem(config).map((text) => `${config.name}: ${text}`))
    return problems.length > 0
      ? { name, value: problems.join('; '), verdict, message }
      : { name, value: good, verdict: 'holds', message: `so it is in all ${found.length} streams of this system` }
  })
}

interface Rule {
  readonly name: string
  /** Of a stream that does not keep it. */
  readonly verdict: 'breaks' | 'note'
  /** The value, if all keep it. */
  readonly good: string
  readonly message: string
  problem(config: StreamConfig): string[]
}

const rules: readonly Rule[] = [
  {
    name: 'nats.storage',
    verdict: 'breaks',
    good: 'file',
    message: 'what is kept in memory is gone when the server stops: make the stream anew with file storage',
    problem: ({ storage }) => (storage === StorageType.File ? [] : [storage]),
  },
  {
    name: 'nats.persist-mode',
    verdict: 'breaks',
    good: 'default',
    message: 'a server acknowledges what it has not written yet: make the stream anew without persist_mode async',
    problem: ({ persist_mode }) => (persist_mode === 'async' ? ['async'] : []),
  },
  {
    name: 'nats.retention',
    verdict: 'breaks',
    good: 'unlimited',
    message:
      'old events are dropped, whether or not every subscription has handled them, and readers that need them are halted with LOG_GAP: remove the limit (nats stream edit), or set it so that it refuses what is new (discard new)',
    problem: (config) => [
      ...(config.retention === RetentionPolicy.Limits ? [] : [`retention ${config.retention}`]),
      ...limitsOf(config, true),
    ],
  },
  {
    name: 'nats.room',
    verdict: 'note',
    good: 'unlimited',
    message: 'when the stream is full, appends are refused with STORE_FULL and events wait in their outbox',
    problem: (config) => limitsOf(config, false),
  },
  {
    name: 'nats.protection',
    verdict: 'note',
    good: 'deny_delete, deny_purge',
    message: 'somebody who purges the stream or deletes messages from it loses events: set deny_delete and deny_purge',
    problem: ({ deny_delete, deny_purge }) => [
      ...(deny_delete ? [] : ['messages can be deleted']),
      ...(deny_purge ? [] : ['it can be purged']),
    ],
  },
  {
    name: 'nats.speed',
    verdict: 'note',
    good: 'allow_direct, allow_atomic',
    message: 'the log works without, message by message, and so more slowly: allow it (nats stream edit)',
    problem: ({ allow_direct, allow_atomic }) => [
      ...(allow_direct ? [] : ['no direct reads']),
      ...(allow_atomic ? [] : ['no batches']),
    ],
  },
]

/** The limits of a stream that drop what is old, or those that refuse what is new. */
function limitsOf(config: StreamConfig, drops: boolean): string[] {
  const { discard, max_age, max_msgs, max_bytes, max_msgs_per_subject } = config
  const isDropping = discard !== DiscardPolicy.New
  const found: string[] = []
  if (drops && max_age > 0) found.push(`max_age ${max_age / 1e9} s`) // it says nanoseconds
  // Per subject, a limit drops what is old also where the others refuse what is new, unless that is said for subjects,
  // too.
  if (max_msgs_per_subject > 0 && drops === (isDropping || !config.discard_new_per_subject))
    found.push(`max_msgs_per_subject ${max_msgs_per_subject}`)
  if (drops !== isDropping) return found
  if (max_msgs > 0) found.push(`max_msgs ${max_msgs}`)
  if (max_bytes > 0) found.push(`max_bytes ${max_bytes}`)
  return found
}

import type { Examination, Finding, Host } from '@atoll/host'
import type { RedisConnection } from './client.ts'
import { replyOf } from './errors.ts'
import type { Entry } from './format.ts'
import { streamPattern } from './names.ts'

/**
 * Reads the settings of Redis and looks at the system's streams. What a user may not ask (CONFIG, SCAN) becomes
 * `unknown`.
 */
export async function examineRedis(connection: RedisConnection, system: string, host: Host): Promise<Examination> {
  const info = toInfo(await connection.call((client) => client.sendCommand<string>(['INFO', 'everything'])))
  const isValkey = info.get('server_name') === 'valkey'
  const version = (isValkey ? info.get('valkey_version') : info.get('redis_version')) ?? 'unknown'
  const fsync = await setting(connection, 'appendfsync')
  const fsyncOnRewrite = await setting(connection, 'no-appendfsync-on-rewrite')
  const findings = [
    aboutVersion(version, isValkey),
    aboutAppendOnly(info),
    aboutFsync(fsync),
    aboutRewrite(fsyncOnRewrite),
    aboutWrites(info),
    aboutEviction(info),
    aboutMemory(info),
    aboutRole(info),
    aboutReplicas(info),
    aboutCluster(info),
    await aboutClock(connection, host),
    await aboutStreams(connection, system),
  ]
  const hasFile = info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'ok'
  const isSynced = hasFile && fsync.value === 'always' && fsyncOnRewrite.value === 'no'
  return {
    engine: isValkey ? 'Valkey' : 'Redis',
    version,
    findings,
    // With everysec a write to the file waits while the fsync before it is slow, so even a killed process may lose what
    // it acknowledged.
    survives: {
      'process kill': isSynced || (hasFile && fsync.value === 'no'),
      'OS crash': isSynced,
      'power loss': isSynced,
      'loss of a node': false,
    },
  }
}

type Verdict = Finding['verdict']

/** A setting as CONFIG GET says it, or why it would not. */
type Setting =
  | { readonly value: string; readonly refusal?: undefined }
  | { readonly value: undefined; readonly refusal: string }

async function setting(connection: RedisConnection, name: string): Promise<Setting> {
  try {
    const [, value] = await connection.call((client) => client.sendCommand<string[]>(['CONFIG', 'GET', name]))
    return value === undefined ? { value, refusal: 'it has no such setting' } : { value }
  } catch (error) {
    return { value: undefined, refusal: refusalOf(error) }
  }
}

/** Why Redis would not say. Rethrows what is about the connection: then there is no examination. */
function refusalOf(error: unknown): string {
  const reply = replyOf(error)
  if (reply === undefined) throw error
  return reply
}

function aboutVersion(version: string, isValkey: boolean): Finding {
  const name = 'redis.version'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (isValkey)
    return { name, value: version, verdict: 'holds', message: 'Valkey is tested as the Redis that it comes from' }
  if (major < 5)
    return { name, value: version, verdict: 'breaks', message: 'streams came with Redis 5; use 7.2 or later' }
  if (major < 7 || (major === 7 && minor < 2))
    return { name, value: version, verdict: 'note', message: 'its makers do not mend it any more; use 7.2 or later' }
  return { name, value: version, verdict: 'holds', message: 'has all that the log needs' }
}

function aboutAppendOnly(info: Info): Finding {
  const isOn = info.get('aof_enabled') === '1'
  return {
    name: 'redis.appendonly',
    value: isOn ? 'yes' : 'no',
    ...(isOn
      ? { verdict: 'holds', message: 'what is acknowledged is in the append-only file' }
      : {
          verdict: 'breaks',
          message:
            'nothing since the last snapshot survives the end of the process, so what was acknowledged is not durable: set appendonly yes',
        }),
  }
}

function aboutFsync({ value, refusal }: Setting): Finding {
  const name = 'redis.appendfsync'
  if (value === undefined)
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message: `CONFIG GET is not allowed here (${refusal}); make sure by other means that it is always`,
    }
  if (value === 'always') return { name, value, verdict: 'holds', message: 'Redis answers an append after its fsync' }
  const lost =
    value === 'everysec'
      ? 'a second or more of what was acknowledged is lost with the power or the kernel'
      : 'whatever the kernel has not written yet is lost with the power or the kernel'
  return {
    name,
    value,
    verdict: 'breaks',
    message: `${lost}, so it is not durable before it is acknowledged: set appendfsync always`,
  }
}

function aboutRewrite({ value, refusal }: Setting): Finding {
  const name = 'redis.no-appendfsync-on-rewrite'
  if (value === undefined)
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message: `CONFIG GET is not allowed here (${refusal}); make sure by other means that it is no`,
    }
  if (value === 'no') return { name, value, verdict: 'holds', message: 'Redis syncs also while it rewrites its file' }
  return {
    name,
    value,
    verdict: 'breaks',
    message:
      'while Redis rewrites its file it does not sync, whatever appendfsync says: set no-appendfsync-on-rewrite no',
  }
}

function aboutWrites(info: Info): Finding {
  const value = info.get('aof_last_write_status') ?? 'unknown'
  const isGood = value === 'ok'
  return {
    name: 'redis.aof-last-write',
    value,
    verdict: isGood ? 'holds' : 'note',
    message: isGood
      ? 'the last write to the append-only file went well'
      : 'the last write to the append-only file failed, and Redis takes none: look at its disk',
  }
}

function aboutEviction(info: Info): Finding {
  const value = info.get('maxmemory_policy') ?? 'unknown'
  const [verdict, message]: [Verdict, string] =
    value === 'noeviction'
      ? ['holds', 'when its memory is full, Redis refuses appends and deletes nothing']
      : value.startsWith('volatile-')
        ? [
            'note',
            'only keys that expire are deleted when memory is full; the streams of the log do not. noeviction says it plainly',
          ]
        : ['breaks', 'when its memory is full, Redis deletes whole streams: set maxmemory-policy noeviction']
  return { name: 'redis.maxmemory-policy', value, verdict, message }
}

function aboutMemory(info: Info): Finding {
  const value = info.get('maxmemory') ?? 'unknown'
  const isBounded = value !== '0'
  return {
    name: 'redis.maxmemory',
    value,
    verdict: isBounded ? 'holds' : 'note',
    message: isBounded
      ? 'Redis refuses appends before its machine has no memory left'
      : 'the log lies in memory and only grows; without a bound the kernel ends Redis some day, where it could have refused appends',
  }
}

function aboutRole(info: Info): Finding {
  const value = info.get('role') ?? 'unknown'
  const isPrimary = value === 'master'
  return {
    name: 'redis.role',
    value,
    verdict: isPrimary ? 'holds' : 'breaks',
    message: isPrimary
      ? 'the log writes to the primary and reads from it'
      : 'a replica takes no appends, and lags behind what was acknowledged: name the primary in the url',
  }
}

function aboutReplicas(info: Info): Finding {
  const value = info.get('connected_slaves') ?? '0'
  const message =
    value === '0'
      ? 'the loss of this machine and its disk is the loss of the log; keep a replica and backups'
      : 'replicas follow later than Redis answers, so a failover may lose the last records; it is noticed as LOG_GAP. min-replicas-to-write bounds how much that can be, and nothing here waits for replicas (WAITAOF)'
  return { name: 'redis.replicas', value, verdict: 'note', message }
}

function aboutCluster(info: Info): Finding {
  const isCluster = info.get('cluster_enabled') === '1'
  return {
    name: 'redis.cluster',
    value: isCluster ? 'yes' : 'no',
    verdict: isCluster ? 'breaks' : 'holds',
    message: isCluster
      ? 'this log talks to one node and follows no redirection, so it reaches only some of its streams: use a primary with replicas'
      : 'all streams are on one primary',
  }
}

/** Nothing is ordered by a clock of Redis; it says something of the machine. */
async function aboutClock(connection: RedisConnection, host: Host): Promise<Finding> {
  const before = host.now()
  const [seconds, micros] = await connection.call((client) => client.sendCommand<[string, string]>(['TIME']))
  const skewMs = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - (before + host.now()) / 2)
  const isClose = Math.abs(skewMs) < skewMsMax
  return {
    name: 'redis.clock',
    value: `${skewMs} ms`,
    verdict: isClose ? 'holds' : 'note',
    message: isClose
      ? 'its clock and ours agree'
      : 'its clock and ours differ; the log does not mind, but somebody else will: set both by NTP',
  }
}

/** Nothing in Redis trims streams by itself, but people and programs do. */
async function aboutStreams(connection: RedisConnection, system: string): Promise<Finding> {
  const name = 'redis.streams'
  try {
    const { keys, isAll } = await findStreams(connection, system)
    const harmed: string[] = []
    for (const key of keys) if (!(await isWhole(connection, key))) harmed.push(key)
    if (harmed.length > 0)
      return {
        name,
        value: harmed.slice(0, 5).join(', '),
        verdict: 'breaks',
        message: `${harmed.length} streams have lost their first records (XTRIM, XDEL) or expire: who reads from the beginning meets LOG_GAP. Restore them, and stop what trims them`,
      }
    return {
      name,
      value: `${keys.length}${isAll ? '' : ' or more'}`,
      verdict: 'holds',
      message: `${isAll ? 'all' : 'those looked at'} begin with record 1, and none expires`,
    }
  } catch (error) {
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message: `the streams of ${system} could not be looked at: ${refusalOf(error)}`,
    }
  }
}

async function findStreams(connection: RedisConnection, system: string): Promise<{ keys: string[]; isAll: boolean }> {
  const keys = new Set<string>()
  let cursor = '0'
  for (let step = 0; step < scanStepsMax && keys.size < streamsMax; step++) {
    const [next, found] = await connection.call((client) =>
      client.sendCommand<[string, string[]]>([
        'SCAN',
        cursor,
        'MATCH',
        streamPattern(system),
        'COUNT',
        '1000',
        'TYPE',
        'stream',
      ]),
    )
    for (const key of found) keys.add(key)
    cursor = next
    if (cursor === '0') break
  }
  return { keys: [...keys].slice(0, streamsMax), isAll: cursor === '0' && keys.size <= streamsMax }
}

async function isWhole(connection: RedisConnection, key: string): Promise<boolean> {
  const [[first], expiry] = await Promise.all([
    connection.call((client) => client.sendCommand<Entry[]>(['XRANGE', key, '-', '+', 'COUNT', '1'])),
    connection.call((client) => client.sendCommand<number>(['PTTL', key])),
  ])
  return first?.[0] === '1-0' && expiry < 0
}

type Info = ReadonlyMap<string, string>

function toInfo(text: string): Info {
  return new Map(
    text
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
}

const skewMsMax = 1_000
/** How many streams are looked at, and how much of the key space for them. */
const streamsMax = 1_000
const scanStepsMax = 200

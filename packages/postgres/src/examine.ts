import type { Examination, Finding, Host } from '@atoll/host'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'

/** How far apart the clocks of this process and of the server may be before it is worth a word. */
const skewMsMax = 1_000

/** How many connections there must be room for. */
export interface Need {
  readonly connections: number
  /** Who takes so many, as a sentence. */
  readonly message: string
}

/**
 * Reads the server's real settings. Also talks to a replica, to say that it is one. Rejects with UNAVAILABLE if the
 * server cannot be reached.
 */
export async function examinePostgres(
  pool: Pool,
  need: Need = { connections: pool.connectionsMax, message: `this process takes up to ${pool.connectionsMax}` },
): Promise<Examination> {
  const session = await pool.connect({ replica: true })
  try {
    const facts = await readFacts(session, pool.host)
    const findings = [
      version(facts),
      replica(facts),
      onOrBreaks(
        facts,
        'fsync',
        'commits reach the disk',
        'a crash of the OS or a loss of power loses acknowledged events and damages the database (promise 2): set fsync = on',
      ),
      onOrBreaks(
        facts,
        'full_page_writes',
        'pages that a loss of power tore in two are mended',
        'a loss of power can damage the database beyond repair (promise 2): set full_page_writes = on',
      ),
      synchronousCommit(facts),
      standbys(facts),
      encoding(facts),
      checksums(facts),
      note(
        'wal_level',
        facts.wal_level,
        facts.wal_level === 'minimal'
          ? 'neither standbys nor backups to a point in time are possible'
          : 'standbys and backups to a point in time are possible',
      ),
      clock(facts),
      connections(facts, need),
    ]
    const safe = facts.fsync === 'on' && facts.synchronous_commit !== 'off' && !facts.replica
    return {
      engine: 'PostgreSQL',
      version: facts.server_version,
      server: `PostgreSQL started at ${facts.startedAt}`,
      findings,
      survives: {
        'process kill': facts.synchronous_commit !== 'off' && !facts.replica,
        'OS crash': safe,
        'power loss': safe && facts.full_page_writes === 'on',
        'loss of a node': safe && isConfirmedElsewhere(facts),
      },
    }
  } finally {
    session.destroy(new Error('the examination is over'))
  }
}

interface Facts {
  readonly server_version: string
  /**
   * By which servers are told apart. Their identifier would not do: standbys and restored copies have that of where
   * they come from, and settings of their own.
   */
  readonly startedAt: string
  readonly server_version_num: number
  readonly replica: boolean
  readonly fsync: string
  readonly full_page_writes: string
  /** As this session has it: a session of ours never has less than `on`. */
  readonly synchronous_commit: string
  readonly synchronous_standby_names: string
  readonly server_encoding: string
  readonly data_checksums: string
  readonly wal_level: string
  readonly max_connections: number
  readonly reserved: number
  readonly used: number
  readonly standbys: number
  readonly synchronous: number
  readonly seesStandbys: boolean
  readonly skewMs: number
}

async function readFacts(session: Session, host: Host): Promise<Facts> {
  const names = [
    'server_version',
    'fsync',
    'full_page_writes',
    'synchronous_commit',
    'synchronous_standby_names',
    'server_encoding',
    'data_checksums',
    'wal_level',
  ]
  const before = host.now()
  const { rows } = await session.query<Omit<Facts, 'skewMs'> & { now: number }>(`
    SELECT ${names.map((name) => `current_setting('${name}') AS ${name}`).join(', ')},
      current_setting('server_version_num')::int AS server_version_num,
      current_setting('max_connections')::int AS max_connections,
      current_setting('superuser_reserved_connections')::int AS reserved,
      pg_is_in_recovery() AS replica,
      extract(epoch FROM pg_postmaster_start_time())::text AS "startedAt",
      (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
      (SELECT count(*) FROM pg_stat_replication) AS standbys,
      (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous,
      pg_has_role('pg_monitor', 'USAGE') AS "seesStandbys",
      floor(extract(epoch FROM clock_timestamp()) * 1000)::int8 AS now`)
  const { now, ...facts } = rows[0]! // a SELECT without FROM answers one row
  return { ...facts, skewMs: now - (before + host.now()) / 2 }
}

function finding(name: string, value: string, verdict: Finding['verdict'], message: string): Finding {
  return { name: `postgres.${name}`, value, verdict, message }
}

const note = (name: string, value: string, message: string): Finding => finding(name, value, 'note', message)

function version({ server_version, server_version_num }: Facts): Finding {
  if (server_version_num >= 130000) return finding('version', server_version, 'holds', '13 or later')
  return finding(
    'version',
    server_version,
    'breaks',
    'transactions are told apart by what came with version 13 (promise 3): use 13 or later',
  )
}

function replica({ replica }: Facts): Finding {
  if (!replica) return finding('replica', 'no', 'holds', 'this is the primary')
  return finding(
    'replica',
    'yes',
    'breaks',
    'a replica takes no writes, and shows commits late and in another order (promises 3 and 5): give the URL of the primary',
  )
}

function onOrBreaks(facts: Facts, name: 'fsync' | 'full_page_writes', good: string, bad: string): Finding {
  return finding(name, facts[name], facts[name] === 'on' ? 'holds' : 'breaks', facts[name] === 'on' ? good : bad)
}

function synchronousCommit({ synchronous_commit: value }: Facts): Finding {
  if (value === 'off')
    return finding(
      'synchronous_commit',
      value,
      'breaks',
      'commits are acknowledged before they are on disk (promise 2): let sessions set synchronous_commit = on',
    )
  if (value === 'remote_write')
    return note(
      'synchronous_commit',
      value,
      'commits are on disk here, and only in the memory of standbys: set it to on, if a node may be lost',
    )
  return finding(
    'synchronous_commit',
    value,
    'holds',
    'sessions wait for the disk at each commit; those of Atoll see to it themselves',
  )
}

function standbys(facts: Facts): Finding {
  const { synchronous_standby_names: names, standbys, synchronous, seesStandbys } = facts
  const value = names === '' ? `none (${standbys} asynchronous)` : `${names} (${synchronous} of ${standbys} connected)`
  if (names === '')
    return finding(
      'synchronous_standby_names',
      value,
      'note',
      'no commit waits for a standby: with this node, what was acknowledged last is lost. Set it, if a node may be lost',
    )
  if (!seesStandbys)
    return note(
      'synchronous_standby_names',
      value,
      'commits wait for a standby; this role may not see whether one is connected: grant it pg_monitor',
    )
  if (synchronous === 0)
    return finding(
      'synchronous_standby_names',
      value,
      'note',
      'no such standby is connected: commits wait until one is',
    )
  return finding('synchronous_standby_names', value, 'holds', 'commits wait for a standby')
}

function isConfirmedElsewhere({ synchronous_standby_names: names, synchronous_commit: commit }: Facts): boolean {
  return names !== '' && (commit === 'on' || commit === 'remote_apply')
}

function encoding({ server_encoding: value }: Facts): Finding {
  if (value === 'UTF8') return finding('server_encoding', value, 'holds', 'text in any script can be stored')
  return finding(
    'server_encoding',
    value,
    'breaks',
    'some events cannot be stored in this encoding (promise 3): create the database with ENCODING UTF8',
  )
}

function checksums({ data_checksums: value }: Facts): Finding {
  if (value === 'on') return finding('data_checksums', value, 'holds', 'pages that rotted on disk are noticed')
  return note('data_checksums', value, 'pages that rot on disk go unnoticed: enable them with pg_checksums')
}

function clock({ skewMs }: Facts): Finding {
  const value = `${Math.round(skewMs)} ms`
  if (Math.abs(skewMs) <= skewMsMax)
    return finding('clock', value, 'holds', 'the clocks of this process and of the server agree')
  return note(
    'clock',
    value,
    'the clocks of this process and of the server disagree: keep both by NTP, or times in logs and traces mislead',
  )
}

function connections({ max_connections, reserved, used }: Facts, need: Need): Finding {
  const value = `${max_connections} (${used} in use, ${reserved} reserved)`
  if (max_connections - reserved >= need.connections) return finding('max_connections', value, 'holds', need.message)
  return note(
    'max_connections',
    value,
    `${need.message}, so some will be refused: raise max_connections, or run less on one server`,
  )
}

import { AtollError, type Host, type Logger } from '@atoll/host'
import { openPool, type Pool } from '@atoll/postgres'
import type { Log } from '../../driver.ts'
import { numberOfOffset } from '../shared/checks.ts'
import { GroupCommit } from '../shared/group-commit.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Reachability } from '../shared/reachability.ts'
import { Appender } from './appender.ts'
import { examineLog } from './examine.ts'
import { areTablesGone, ensureTables, schemaOf } from './format.ts'
import { Hints } from './hints.ts'
import type { PostgresLogLimits } from './limits.ts'
import { Records } from './records.ts'

/**
 * The log of `system` in the database at `url`. Resolves after the first attempt to reach it, whatever came of that.
 */
export async function openPostgresLog(
  url: string,
  system: string,
  host: Host,
  logger: Logger,
  limits: PostgresLogLimits,
): Promise<Log> {
  const schema = schemaOf(system)
  const { connectionsMax, callMs, connectMs } = limits
  const pool = openPool({
    url,
    host,
    applicationName: `atoll log of ${system}`,
    connectionsMax,
    callMs,
    connectMs,
    options: planning,
  })
  const records = new Records(schema)
  const appender = new Appender(pool, records, limits.statementBytesMax)
  const hints = new Hints(pool, schema)
  const reachability = new Reachability(
    { engine: pool.name, attempt: () => prepare(pool, schema) },
    host,
    logger,
    limits.reconnectMsMax,
  )
  const group = new GroupCommit(
    host,
    async (appends) => {
      const { moved, failure } = await appender.commit(appends)
      hints.tell(moved)
      if (failure) noticeLoss(failure)
      return failure?.code === 'UNAVAILABLE' ? failure : undefined
    },
    limits.commitRecordsMax,
  )

  /** The tables were there, and somebody has dropped them since. */
  function noticeLoss(error: unknown): void {
    if (areTablesGone(error))
      reachability.lost(
        new AtollError(
          'UNAVAILABLE',
          `${pool.name}: the tables of the log in schema ${schema} are gone; they are made anew, and readers will be told what is lost`,
          { cause: error },
        ),
      )
  }

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    reachability.assert()
    try {
      return await question()
    } catch (error) {
      noticeLoss(error)
      reachability.assert()
      throw error
    }
  }

  async function close(): Promise<void> {
    await Promise.all([reachability.close(), hints.close()])
    await pool.close()
  }

  const failure = await reachability.start()
  if (failure && refusals.has(failure.code)) {
    await close()
    throw failure
  }

  const log: EngineLog = {
    engine: pool.name,
    capabilities: { checksAppends: true, persistent: true, canBeDurable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, added) {
      reachability.assert()
      await group.append(source, added)
    },

    read: (source, partition, after, limit) =>
      ask(async () =>
        records.read(pool, source, partition, after === null ? 0 : numberOfOffset(after), limit, limits.readBytesMax),
      ),
    tail: (source, partition) => ask(() => records.tail(pool, source, partition)),
    watch: (source, listener) => hints.watch(source, listener),
    examine: () => examineLog(pool, schema),
    abandon: () => group.abandon(),
    close,
  }
  return toLog(log, host, limits)
}

/**
 * Every statement here is to walk along the key, also where the planner has not counted the rows yet and would rather
 * read the whole table. One plan serves all parameters.
 */
const planning = { enable_seqscan: 'off', enable_bitmapscan: 'off', jit: 'off', plan_cache_mode: 'force_generic_plan' }

/** What trying again does not mend: whoever starts the log is told at once. */
const refusals: ReadonlySet<string> = new Set(['STORE_NEWER', 'STORE_CORRUPT'])

/**
 * Makes the tables if they are not there. PostgreSQL mostly refuses that for want of a right, which its administrator
 * can give; then all is well.
 */
async function prepare(pool: Pool, schema: string): Promise<void> {
  try {
    await ensureTables(pool, schema)
  } catch (error) {
    if (error instanceof AtollError) throw error
    throw new AtollError(
      'UNAVAILABLE',
      `${pool.name}: the tables of the log cannot be made or read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}

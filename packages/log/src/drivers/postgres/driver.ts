import { AtollError, type Host, type Logger } from '@atoll/host'
import { openPool } from '@atoll/postgres'
import type { Log, LogRecord, Offset } from '../../driver.ts'
import { assertCount, assertFits } from '../checks.ts'
import { Committer, type Append } from './commit.ts'
import { examineLog } from './examine.ts'
import { areTablesGone, ensureTables, schemaOf } from './format.ts'
import { Hints } from './hints.ts'
import type { PostgresLogLimits } from './limits.ts'
import { Readiness } from './readiness.ts'
import { Records } from './records.ts'

/** The log of `system` in the database at `url`. Resolves after the first attempt to reach it, whatever came of that. Its methods need no `this`. */
export async function openPostgresLog(url: string, system: string, host: Host, logger: Logger, limits: PostgresLogLimits): Promise<Log> {
  const schema = schemaOf(system)
  const { connectionsMax, callMs, connectMs } = limits
  const pool = openPool({ url, host, applicationName: `atoll log of ${system}`, connectionsMax, callMs, connectMs, options: planning })
  const records = new Records(schema)
  const committer = new Committer(pool, records, limits.statementCharsMax)
  const hints = new Hints(pool, schema)
  const readiness = new Readiness(host, logger, () => ensureTables(pool, schema))

  let queue: Append[] = []
  let queuedRecords = 0
  let queuedChars = 0
  let committing: Promise<void> | undefined
  let closed: Promise<void> | undefined

  /** Commits what waits, of which there is some, and what comes to wait meanwhile. */
  async function commitQueued(): Promise<void> {
    while (queue.length > 0) {
      const { moved, failure } = await committer.commit(takeQueued())
      if (moved.length > 0) hints.tell(moved)
      if (!failure) continue
      noticeLoss(failure)
      // What waited meanwhile has waited long enough: whether the server is there again is for the next append to find out.
      if (failure.code === 'UNAVAILABLE') for (const append of takeQueued(Infinity)) append.reject(failure)
    }
    committing = undefined
  }

  function takeQueued(recordsMax: number = limits.commitRecordsMax): Append[] {
    let count = 0
    let records = 0
    while (count < queue.length && (count === 0 || records + queue[count]!.records.length <= recordsMax)) records += queue[count++]!.records.length
    const taken = queue.slice(0, count)
    queue = queue.slice(count)
    queuedRecords -= records
    queuedChars -= taken.reduce((sum, append) => sum + charsOf(append.records), 0)
    return taken
  }

  function enqueue(source: string, added: readonly LogRecord[], chars: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (queue.length === 0 && !committing) host.turn(flush)
      queue.push({ source, records: added, resolve, reject })
      queuedRecords += added.length
      queuedChars += chars
    })
  }

  function flush(): void {
    if (!committing && queue.length > 0) committing = commitQueued()
  }

  function assertOpen(): void {
    if (closed) throw new AtollError('LOG_CLOSED', `the log of ${system} in ${pool.name} was used after close; stop what uses it before closing it`)
  }

  function assertRoom(source: string, count: number, chars: number): void {
    assertCount(source, count, limits.appendRecordsMax)
    if (queue.length === 0) return
    if (queuedRecords + count > limits.queuedRecordsMax || queuedChars + chars > limits.queuedCharsMax) {
      throw new AtollError('OVERLOADED', `${queuedRecords} records wait for the log already; ${count} of ${source} are over queuedRecordsMax (${limits.queuedRecordsMax}) or queuedCharsMax (${limits.queuedCharsMax})`)
    }
  }

  /** The tables were there, and somebody has dropped them since. */
  function noticeLoss(error: unknown): void {
    if (areTablesGone(error)) readiness.lost(new AtollError('UNAVAILABLE', `${pool.name}: the tables of the log in schema ${schema} are gone; they are made anew, and readers will be told what is lost`, { cause: error }))
  }

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    assertOpen()
    readiness.assert()
    try {
      return await question()
    } catch (error) {
      noticeLoss(error)
      readiness.assert()
      throw AtollError.from(error)
    }
  }

  async function close(): Promise<void> {
    flush()
    await committing
    await Promise.all([readiness.close(), hints.close()])
    await pool.close()
  }

  const failure = await readiness.begin()
  if (failure && refusals.has(failure.code)) {
    await close()
    throw failure
  }

  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, added) {
      assertOpen()
      if (added.length === 0) return
      for (const record of added) assertFits(source, record, limits.dataBytesMax)
      const chars = charsOf(added)
      assertRoom(source, added.length, chars)
      readiness.assert()
      await enqueue(source, added, chars)
    },

    read: (source, partition, after, limit) =>
      ask(async () => {
        const afterNumber = after === null ? 0 : numberOf(after)
        const count = Math.min(limit, limits.readRecordsMax)
        return count <= 0 ? [] : records.read(pool, source, partition, afterNumber, count, limits.readBytesMax)
      }),

    tail: (source, partition) =>
      ask(() => records.tail(pool, source, partition)),

    watch(source, listener) {
      assertOpen()
      return hints.watch(source, listener)
    },

    async examine() {
      assertOpen()
      return examineLog(pool, schema)
    },

    close: () => (closed ??= close()),
  }
}

/** Every statement here is to walk along the key, also where the planner has not counted the rows yet and would rather read the whole table. One plan serves all parameters. */
const planning = { enable_seqscan: 'off', enable_bitmapscan: 'off', jit: 'off', plan_cache_mode: 'force_generic_plan' }

/** What trying again does not mend: whoever starts the log is told at once. */
const refusals: ReadonlySet<string> = new Set(['STORE_NEWER', 'STORE_CORRUPT'])

function charsOf(records: readonly LogRecord[]): number {
  let chars = 0
  for (const { data } of records) chars += data.length
  return chars
}

function numberOf(offset: Offset): number {
  const number = Number(offset)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new AtollError('INVALID', `'${offset}' is not an offset that this log gave; hand back the offset of a record or a tail`)
}

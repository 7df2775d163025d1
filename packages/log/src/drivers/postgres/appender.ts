import { AtollError } from '@atoll/host'
import { isConflict, sqlStateOf, type Client, type Pool } from '@atoll/postgres'
import type { Append } from '../shared/group-commit.ts'
import { areTablesGone } from './format.ts'
import { placeKey, planAppends, streamKey, type Facts, type Plan } from './plan.ts'
import type { Addition, Place, Records } from './records.ts'

/** A partition of a source. */
export interface Stream {
  readonly source: string
  readonly partition: number
}

/**
 * How often a commit is tried while other processes add to the same streams. Each try that fails means that one of them
 * went on.
 */
const triesMax = 10

/**
 * Makes appends durable: many of them by one statement, which is a transaction of its own, one commit at a time.
 *
 * It writes on the belief that the streams still end where this process left them, and the statement itself checks
 * that. So the usual append is one round trip, takes no lock that another stream could feel, and leaves no transaction
 * open if this process dies. If the belief was wrong it looks, and decides again; if another writer adds the same
 * numbers at the same moment, the unique key lets one of them win, and the other looks again.
 *
 * A reader never sees number n + 1 before n: whoever writes n + 1 has seen n committed, or writes both in one
 * transaction.
 */
export class Appender {
  readonly #pool: Pool
  readonly #records: Records
  readonly #statementBytesMax: number
  /** Where streams ended when this process last knew. */
  readonly #lasts = new Map<string, number>()

  constructor(pool: Pool, records: Records, statementBytesMax: number) {
    this.#pool = pool
    this.#records = records
    this.#statementBytesMax = statementBytesMax
  }

  /**
   * Commits and settles every append. Answers the streams that have new records, and the error if the server failed all
   * of them.
   */
  async commit(appends: readonly Append[]): Promise<{ moved: readonly Stream[]; failure?: AtollError }> {
    try {
      const plan = await this.#write(appends)
      for (const append of appends) {
        const refusal = plan.refusals.get(append)
        if (refusal) append.reject(refusal)
        else append.resolve()
      }
      return { moved: plan.streams.filter(({ next, last }) => next > last) }
    } catch (error) {
      const failure = areTablesGone(error)
        ? new AtollError('UNAVAILABLE', `${this.#pool.name}: the tables of the log are gone`, { cause: error })
        : AtollError.from(error)
      // What the server cannot take of one append must not take the others with it: each once more, alone.
      if (failure.code === 'INTERNAL' && appends.length > 1) return this.#commitEach(appends)
      for (const append of appends) append.reject(failure)
      return { moved: [], failure }
    }
  }

  async #commitEach(appends: readonly Append[]): Promise<{ moved: readonly Stream[] }> {
    const moved: Stream[] = []
    for (const append of appends) moved.push(...(await this.commit([append])).moved)
    return { moved }
  }

  async #write(appends: readonly Append[]): Promise<Plan> {
    let plan = planAppends(appends, { certain: false, lasts: this.#lasts, ids: new Map() })
    for (let tries = 0; tries < triesMax; tries++) {
      plan ??= planAppends(appends, await this.#look(appends))
      if (!plan) throw new Error('what was looked up does not suffice to decide')
      if (plan.additions.length === 0) return plan
      for (const { key } of plan.streams) this.#lasts.delete(key) // unknown, until it is known how this ends
      if (await this.#tryWrite(plan)) {
        for (const { key, next } of plan.streams) this.#lasts.set(key, next)
        return plan
      }
      plan = undefined
    }
    throw new AtollError(
      'UNAVAILABLE',
      `${this.#pool.name}: other processes added to the same partitions ${triesMax} times in a row; is more than one relay of a service at work?`,
    )
  }

  /** Where the streams of these appends end now, and which events have the numbers that are there already. */
  async #look(appends: readonly Append[]): Promise<Facts> {
    const streams = new Map<string, Stream>()
    for (const { source, records } of appends)
      for (const { partition } of records) streams.set(streamKey(source, partition), { source, partition })
    const keys = [...streams.keys()]
    const found = await this.#records.lasts(this.#pool, [...streams.values()])
    const lasts = new Map(found.map((last, index) => [keys[index]!, last]))
    const places: Place[] = []
    for (const { source, records } of appends) {
      for (const { partition, number } of records) {
        const last = lasts.get(streamKey(source, partition)) ?? 0
        if (number >= 1 && number <= last) places.push({ source, partition, number })
      }
    }
    const ids = places.length === 0 ? [] : await this.#records.ids(this.#pool, places)
    return {
      certain: true,
      lasts,
      ids: new Map(
        places.map(({ source, partition, number }, index) => [placeKey(source, partition, number), ids[index] ?? null]),
      ),
    }
  }

  /** Whether it was written; else nothing was, because another process was there first. */
  async #tryWrite({ additions, streams }: Plan): Promise<boolean> {
    const statements = this.#cut(additions)
    try {
      if (statements.length === 1) return await this.#records.append(this.#pool, additions, streams)
      return await this.#pool.use((client) => this.#writeInParts(client, statements, streams))
    } catch (error) {
      if (isConflict(error) || sqlStateOf(error) === uniqueViolation) return false
      throw error
    }
  }

  async #writeInParts(
    client: Client,
    statements: readonly (readonly Addition[])[],
    streams: Plan['streams'],
  ): Promise<boolean> {
    await client.query('BEGIN')
    for (const [index, additions] of statements.entries()) {
      if (await this.#records.append(client, additions, index === 0 ? streams : [])) continue
      await client.query('ROLLBACK')
      return false
    }
    return (await client.query('COMMIT')).command === 'COMMIT'
  }

  #cut(additions: readonly Addition[]): Addition[][] {
    const statements: Addition[][] = [[]]
    let chars = 0
    for (const addition of additions) {
      chars += addition.record.data.length
      if (chars > this.#statementBytesMax && statements.at(-1)!.length > 0) {
        statements.push([])
        chars = addition.record.data.length
      }
      statements.at(-1)!.push(addition)
    }
    return statements
  }
}

const uniqueViolation = '23505'

import { isConflict, sqlStateOf, type Client, type Result } from '@atoll/postgres'
import { AtollError } from '@atoll/host'
import { storeFailures, type Row, type Value } from '../../driver.ts'
import type { Group } from '../../group.ts'

/**
 * Begins a physical commit, as the only writer of the store: whoever else writes it, here or in another process, waits.
 * So transactions run one after the other as they do everywhere, and what one leaves in the outbox commits before the
 * next begins. OVERLOADED if another process keeps the writer for longer than the `lock_timeout` of the connection.
 */
export async function begin(client: Client, store: string, callMs: number): Promise<void> {
  try {
    await Promise.all(
      ['BEGIN', 'LOCK TABLE atoll_writer IN EXCLUSIVE MODE', 'SAVEPOINT work'].map((sql) =>
        client.query(sql, [], callMs),
      ),
    )
  } catch (error) {
    // then the connection is of no more use, and is not used
    await client.query('ROLLBACK', [], callMs).catch(() => undefined)
    if (sqlStateOf(error) === LOCK_NOT_AVAILABLE)
      throw new AtollError(
        'OVERLOADED',
        `${store} is being written by another process, which did not let go of it for as long as lockMs says`,
        { cause: error },
      )
    throw AtollError.from(error)
  }
}

const LOCK_NOT_AVAILABLE = '55P03'
/** Of a commit, this may be anybody's doing. */
const INTERNAL_ERROR = 'XX000'

/**
 * One physical commit on its connection, once it has begun. Statements are sent without waiting for the answers of
 * those before (the server takes them in order), so that a savepoint for each work costs no round trip of its own.
 */
export class GroupSession {
  /** The store's, for messages. */
  readonly name: string
  readonly group: Group
  readonly #client: Client
  /** Nothing has been asked since the savepoint of works was set. */
  #isFresh = true

  constructor(name: string, group: Group, client: Client) {
    this.name = name
    this.group = group
    this.#client = client
  }

  /** The next work begins: what it does must be undone without what came before. */
  renew(): void {
    if (this.#isFresh) return
    this.#isFresh = true
    this.#send('RELEASE SAVEPOINT work')
    this.#send('SAVEPOINT work')
  }

  query<R = Row>(sql: string, params: readonly Value[]): Promise<Result<R>> {
    this.#isFresh = false
    return this.#client.query<R>(sql, params)
  }

  /** Asks without waiting. What fails here fails the whole commit, for the works behind it may have begun by then. */
  send<R = Row>(sql: string, params: readonly Value[], onAnswer: (result: Result<R>) => void): void {
    this.group.sent.push(
      this.query<R>(sql, params)
        .then(onAnswer)
        .catch((error: unknown) => void (this.group.failure ??= AtollError.from(error))),
    )
  }

  /** Undoes what the present work did. */
  async undo(): Promise<void> {
    if (this.#isFresh) return
    await this.#client.query('ROLLBACK TO SAVEPOINT work')
    this.#isFresh = true
  }

  async set(savepoint: string): Promise<void> {
    await this.query(`SAVEPOINT ${savepoint}`, [])
  }

  /** Where every statement before has been answered, and well, this cannot fail but with the connection. */
  release(savepoint: string): void {
    this.#send(`RELEASE SAVEPOINT ${savepoint}`)
  }

  async rollBackTo(savepoint: string): Promise<void> {
    await Promise.all([
      this.query(`ROLLBACK TO SAVEPOINT ${savepoint}`, []),
      this.query(`RELEASE SAVEPOINT ${savepoint}`, []),
    ])
  }

  /**
   * Checks, for what the present work did, the constraints that would be checked at the commit. `names` as they stand
   * in SQL.
   */
  async check(names: string): Promise<void> {
    if (this.#isFresh) return
    await Promise.all([
      this.query(`SET CONSTRAINTS ${names} IMMEDIATE`, []),
      this.query(`SET CONSTRAINTS ${names} DEFERRED`, []),
    ])
  }

  async commit(): Promise<void> {
    const { command } = await this.#client.query('COMMIT').catch((error: unknown) => {
      const failure = AtollError.from(error)
      if (!storeFailures.has(failure.code) && !isConflict(error) && sqlStateOf(error) !== INTERNAL_ERROR)
        this.group.refuseToCommit(failure)
      if (failure.code !== 'UNAVAILABLE') throw failure
      throw new AtollError(
        'UNAVAILABLE',
        `a commit of ${this.name} was not answered; whether it took effect is unknown: ${failure.reason}`,
        { cause: failure },
      )
    })
    await Promise.all(this.group.sent) // answered before it, but not told to who asked
    if (command !== 'COMMIT')
      throw (
        this.group.failure ?? new AtollError('UNAVAILABLE', `${this.name} undid a transaction that was to be committed`)
      )
  }

  async rollBack(): Promise<void> {
    await this.#client.query('ROLLBACK')
  }

  /** What fails here shows in every statement behind it. */
  #send(sql: string): void {
    this.#client.query(sql).catch((error: unknown) => (this.group.failure ??= AtollError.from(error)))
  }
}

import type { Client, Param, Result } from '@atoll/postgres'
import { AtollError } from '@atoll/host'
import type { Row, Value } from '../../driver.ts'
import type { Group } from '../../group.ts'

/**
 * One physical commit on its connection. Statements are sent without waiting for the answers of those before (the server takes them in
 * order), so that beginning, and a savepoint for each work, cost no round trip of their own.
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

  /**
   * Begins, as the only writer of the store: whoever else writes it, here or in another process, waits. So transactions run one after the
   * other as they do everywhere, and what one leaves in the outbox commits before the next begins.
   */
  async begin(): Promise<void> {
    await Promise.all(['BEGIN', 'LOCK TABLE atoll_writer IN EXCLUSIVE MODE', 'SAVEPOINT work'].map((sql) => this.#client.query(sql)))
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
    return this.#client.query<R>(sql, params as readonly Param[])
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

  async release(savepoint: string): Promise<void> {
    await this.query(`RELEASE SAVEPOINT ${savepoint}`, [])
  }

  async rollBackTo(savepoint: string): Promise<void> {
    await Promise.all([this.query(`ROLLBACK TO SAVEPOINT ${savepoint}`, []), this.query(`RELEASE SAVEPOINT ${savepoint}`, [])])
  }

  /** Checks what would be checked at the commit, for what was done until now. */
  async checkConstraints(): Promise<void> {
    await Promise.all([this.query('SET CONSTRAINTS ALL IMMEDIATE', []), this.query('SET CONSTRAINTS ALL DEFERRED', [])])
  }

  async commit(): Promise<void> {
    const { command } = await this.#client.query('COMMIT')
    if (command !== 'COMMIT') throw new AtollError('UNAVAILABLE', `${this.name} undid a transaction that was to be committed`)
  }

  async rollBack(): Promise<void> {
    await this.#client.query('ROLLBACK')
  }

  /** What fails here shows in every statement behind it. */
  #send(sql: string): void {
    this.#client.query(sql).catch((error: unknown) => (this.group.failure ??= AtollError.from(error)))
  }
}

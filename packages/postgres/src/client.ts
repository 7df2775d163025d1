/** What a statement may be given. A Date is not among them: how it is written would depend on time zones. */
export type Param = string | number | bigint | boolean | Uint8Array | null | readonly Param[]

/**
 * What comes back: whole numbers as numbers where they are exact, else as bigint; `boolean` and `bytea` as what they
 * are; everything else (numeric, json, times, arrays) as the text that PostgreSQL writes, for nothing is to be guessed
 * here.
 */
export type Value = string | number | bigint | boolean | Uint8Array | null
export type Row = Record<string, Value>

export interface Result<R> {
  readonly rows: R[]
  /** How many rows were answered or changed. */
  readonly count: number
  /**
   * What PostgreSQL says it did: `INSERT`, `COMMIT`. A COMMIT of a transaction in which something failed says
   * `ROLLBACK`, and is no error.
   */
  readonly command: string
}

/** Runs statements with `$1`, `$2` … for parameters. */
export interface Client {
  /**
   * Runs one statement. A statement that is run again is prepared, once per connection. Rejects with UNAVAILABLE and so
   * on as `toAtollError` has it; with the library's own error where that leaves it as it is. After one that is not
   * answered within `callMs` (the pool's, unless given), or after any error of the connection, this client is of no
   * more use, and what it did is unknown.
   */
  query<R = Row>(sql: string, params?: readonly Param[], callMs?: number): Promise<Result<R>>
}

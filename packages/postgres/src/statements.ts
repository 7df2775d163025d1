/**
 * Names for statements, by which a connection prepares each once. A statement is named when it is seen for the second
 * time, so that those that are run once (with a list of another length each time, say) take up nothing; and so many
 * have names at the most, because a server keeps them as long as the connection lives.
 */
export class Statements {
  readonly #names = new Map<string, string>()
  readonly #seen = new Set<string>()
  readonly #namesMax: number

  constructor(namesMax: number) {
    this.#namesMax = namesMax
  }

  /** The name to prepare it by; undefined to run it unprepared. */
  nameOf(sql: string): string | undefined {
    const name = this.#names.get(sql)
    if (name !== undefined || this.#names.size >= this.#namesMax) return name
    if (this.#seen.delete(sql)) {
      const fresh = `atoll_${this.#names.size + 1}`
      this.#names.set(sql, fresh)
      return fresh
    }
    if (this.#seen.size >= this.#namesMax) this.#seen.clear()
    this.#seen.add(sql)
    return undefined
  }
}

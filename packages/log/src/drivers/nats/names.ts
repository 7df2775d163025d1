/**
 * What the things of one system are called on the server. Each source has a stream, `atoll_<system>_<source>`, and each
 * of its partitions a subject in it, `atoll.<system>.<source>.<partition>`. Hints that there is news go by
 * `atoll.<system>.<source>`, which no stream keeps.
 */
export class Names {
  readonly #system: string

  constructor(system: string) {
    this.#system = system
  }

  stream(source: string): string {
    return `atoll_${this.#system}_${source}` // a system's name has no underscore, so no two pairs share a stream
  }

  /** Every subject of a source's stream. */
  subjects(source: string): string {
    return `${this.news(source)}.*`
  }

  subject(source: string, partition: number): string {
    return `${this.news(source)}.${partition}`
  }

  news(source: string): string {
    return `atoll.${this.#system}.${source}`
  }

  /** Every subject of every stream of this system. */
  get allSubjects(): string {
    return `atoll.${this.#system}.>`
  }
}

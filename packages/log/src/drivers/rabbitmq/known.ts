/**
 * The last number of each stream, as far as this log has heard: what a reader must be given, if only it waits for it.
 */
export class KnownNumbers {
  readonly #own = new Map<string, number>()
  readonly #heard = new Map<string, number>()

  /** What this log itself has been told is durable; 0 if nothing. */
  own(stream: string): number {
    return this.#own.get(stream) ?? 0
  }

  /** What others say. */
  heard(stream: string): number {
    return this.#heard.get(stream) ?? 0
  }

  raise(stream: string, number: number, isOwn: boolean): void {
    const numbers = isOwn ? this.#own : this.#heard
    if (number > (numbers.get(stream) ?? 0)) numbers.set(stream, number)
  }

  /** The stream has gone. */
  forget(stream: string): void {
    this.#own.delete(stream)
    this.#heard.delete(stream)
  }
}

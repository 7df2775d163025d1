/**
 * What happened in a world, folded into one number: two runs that took the same steps in the same order have the same.
 */
export class Trace {
  #a = 0x811c9dc5
  #b = 0x01000193
  /** Notes seen so far. */
  count = 0
  /** Called with each note, when somebody wants to read along. */
  onNote: ((note: string) => void) | undefined

  note(note: string): void {
    this.count++
    this.onNote?.(note)
    let a = this.#a
    let b = this.#b
    for (let index = 0; index < note.length; index++) {
      const code = note.charCodeAt(index)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b + code, 0x85ebca6b) ^ (b >>> 15)
    }
    this.#a = Math.imul(a ^ 0x0a, 0x01000193)
    this.#b = b
  }

  /** 64 bits, as 16 hex digits. */
  get hash(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

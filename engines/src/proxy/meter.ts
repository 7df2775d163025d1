/** How much clients may still send before something happens, once. */
export class Meter {
  #bytesLeft = Infinity
  #onSpent = (): void => {}

  /** From now on counts `bytes`; `onSpent` is called when they have been passed on. */
  begin(bytes: number, onSpent: () => void): void {
    this.#bytesLeft = bytes
    this.#onSpent = onSpent
  }

  /** What of a chunk may be passed on; if that is not all of it, what to do when it has been. */
  admit(chunk: Buffer): { readonly part: Buffer; readonly onSpent?: () => void } {
    if (chunk.length < this.#bytesLeft) {
      this.#bytesLeft -= chunk.length
      return { part: chunk }
    }
    const part = chunk.subarray(0, this.#bytesLeft)
    this.#bytesLeft = Infinity
    return { part, onSpent: this.#onSpent }
  }
}

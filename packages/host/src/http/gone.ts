import type { ServerResponse } from 'node:http'

/**
 * Says when a client has gone before it had its answer. An AbortController for each request would cost as much as
 * finding its route.
 */
export class Gone {
  aborted: boolean
  readonly reason = 'the client went away'
  readonly #listeners: (() => void)[] = []

  constructor(response: ServerResponse) {
    this.aborted = response.destroyed && !response.writableFinished // it may have gone before anybody asked
    response.once('close', () => {
      if (response.writableFinished) return
      this.aborted = true
      for (const listener of this.#listeners.splice(0)) listener()
    })
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener)
    if (at >= 0) this.#listeners.splice(at, 1)
  }
}

import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

// The independent record of what a client sent and what it was told: a file of the client's, written before each
// request and after its answer. Nothing of it passes through what it judges.

/** What becomes of one request. `unknown`: the connection broke, or the answer does not say. */
export type Outcome = 'acknowledged' | 'refused' | 'unknown'

/** Before a request is sent. `register` is what it sets, such as an article; `value` what it sets it to. */
export interface Tried {
  readonly state: 'tried'
  readonly id: string
  readonly kind: Kind
  readonly register: string
  readonly value: string
}

/** After its answer, or the lack of one. */
export interface Settled {
  readonly state: Outcome
  readonly id: string
  /** HTTP status; 0 without an answer. */
  readonly status: number
  /** The same request, sent again under its Idempotency-Key after it was unknown. */
  readonly again?: boolean
}

export type Kind =
  | 'publish'
  | 'edit'
  | 'delete'
  | 'comment'
  | 'uncomment'
  | 'favorite'
  | 'unfavorite'
  | 'follow'
  | 'unfollow'
export type Line = Tried | Settled

/** Appends lines, durable when the promise resolves. Those that come in the same turn share one fsync. */
export class Book {
  readonly #file: number
  #waiting: { text: string; resolve: () => void }[] = []

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  note(line: Line): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush())
      this.#waiting.push({ text: `${JSON.stringify(line)}\n`, resolve })
    })
  }

  close(): void {
    closeSync(this.#file)
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    writeSync(this.#file, waiting.map(({ text }) => text).join(''))
    fsyncSync(this.#file)
    for (const { resolve } of waiting) resolve()
  }
}

/** Reads a book on from where the last look ended. The one who writes rests meanwhile, so every line is whole. */
export class BookReader {
  readonly #path: string
  #at = 0

  constructor(path: string) {
    this.#path = path
  }

  next(): Line[] {
    const bytes = readFileSync(this.#path)
    const text = bytes.toString('utf8', this.#at)
    this.#at = bytes.length
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line) // written above
  }
}

import { Worker } from 'node:worker_threads'
import { AtollError, type ErrorCode } from '@atoll/host'
import type { Writer, Writing } from './writer.ts'

/** What the thread says of the file's opening and of each commit. An error crosses as its parts. */
export interface ThreadAnswer {
  readonly error?: { readonly code: ErrorCode; readonly reason: string; readonly stack: string | undefined }
}

/**
 * Writes on a thread of its own, so that the services of this process go on while SQLite works and the disk syncs: that
 * is a third of what an event costs. The thread keeps the process alive only while it has something to write.
 */
export class ThreadWriter implements Writer {
  readonly #worker: Worker
  readonly #ended: Promise<unknown>
  #waiting: { resolve(): void; reject(error: AtollError): void } | undefined
  #failure: AtollError | undefined
  #closed: Promise<void> | undefined

  private constructor(file: string) {
    // Built, it is JavaScript beside this file's; as source, TypeScript. The program's own flags (--eval, --inspect)
    // are not for it.
    const main = new URL(import.meta.url.endsWith('.ts') ? './thread-main.ts' : './thread-main.js', import.meta.url)
    this.#worker = new Worker(main, { workerData: file, execArgv: [] })
    this.#worker.on('message', (answer: ThreadAnswer) => this.#settle(answer.error && revive(answer.error)))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('error', (cause) => (this.#failure ??= ended(file, cause)))
      this.#worker.on('exit', (status) => {
        this.#failure ??= ended(file, status)
        this.#settle(this.#failure)
        resolve(undefined)
      })
    })
  }

  /** Starts the thread. Rejects with whatever keeps it from opening the file. */
  static async start(file: string): Promise<ThreadWriter> {
    const writer = new ThreadWriter(file)
    await writer.#answered()
    return writer
  }

  write(writing: Writing): Promise<void> {
    const answered = this.#answered()
    this.#worker.postMessage(writing)
    return answered
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#worker.ref()
    this.#worker.postMessage('close')
    await this.#ended
  }

  #answered(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#worker.ref()
    })
  }

  #settle(error: AtollError | undefined): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (!this.#closed) this.#worker.unref()
    if (error) waiting?.reject(error)
    else waiting?.resolve()
  }
}

function revive({ code, reason, stack }: NonNullable<ThreadAnswer['error']>): AtollError {
  const error = new AtollError(code, reason)
  if (stack !== undefined) error.stack = stack // where it happened, not where it was told
  return error
}

function ended(file: string, cause: unknown): AtollError {
  return new AtollError(
    'UNAVAILABLE',
    `the thread that writes ${file} has ended (${cause instanceof Error ? cause.message : `status ${String(cause)}`}). Restart the process; nothing that was acknowledged is lost`,
    { cause },
  )
}

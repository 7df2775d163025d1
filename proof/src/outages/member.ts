import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holdsWithin } from '@atoll/engines/waiting'
import { root } from '../patches.ts'

/**
 * One process of the system: some of its services, or its gateway. It can be ended and started again, with the same
 * address and name.
 */
export class Member {
  readonly name: string
  /** Where it says whether it is ready. */
  readonly #health: string
  readonly #secret: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #errs: string[] = []
  #line = ''
  /** What it has said, ever, that somebody would be woken up for. */
  readonly alarms: string[] = []

  constructor(name: string, health: string, secret: string, args: readonly string[]) {
    this.name = name
    this.#health = health
    this.#secret = secret
    this.#args = args
  }

  start(): void {
    const env = { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE }
    const child = spawn(process.execPath, ['packages/cli/src/main.ts', 'start', ...this.#args], {
      cwd: root,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errs.push(text)
      const lines = (this.#line + text).split('\n')
      this.#line = lines.pop()!
      this.alarms.push(...lines.filter((line) => line.includes('ALARM')))
      if (this.#errs.length > 2_000) this.#errs.splice(0, 1_000)
    })
    this.#child = child
    const kill = (): boolean => child.kill('SIGKILL')
    process.once('exit', kill) // one that stands still would outlive a run that is interrupted
    this.#ended = once(child, 'close').finally(() => process.off('exit', kill))
  }

  /** Resolves with whether it got ready within a bound. */
  async ready(boundMs: number): Promise<boolean> {
    let isReady = false
    await holdsWithin(
      boundMs,
      async () => {
        if (this.isOver) return true
        const answer = await fetch(`${this.#health}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(
          () => undefined,
        )
        await answer?.body?.cancel()
        return (isReady = answer?.status === 200)
      },
      ASK_MS,
    )
    return isReady
  }

  /** What it says of its state, to those who know the secret. */
  async state(): Promise<string> {
    const answer = await fetch(`${this.#health}/readyz`, {
      headers: { authorization: `Bearer ${this.#secret}` },
      signal: AbortSignal.timeout(2_000),
    }).catch(String)
    return typeof answer === 'string' ? answer : answer.text()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends it, and resolves when it has ended: with its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.signal(signal)
    await this.#ended
    return this.#child?.exitCode ?? null
  }

  get isOver(): boolean {
    return this.#child?.exitCode !== null || this.#child.signalCode !== null
  }

  /** What it has said on standard error of late. */
  get err(): string {
    return this.#errs.join('')
  }
}

/** Between two questions whether it is ready: many are asked at a time, of processes that need the processor. */
const ASK_MS = 100

/** Makes starts faster by a third; it changes nothing else. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'atoll-crash-compiled')

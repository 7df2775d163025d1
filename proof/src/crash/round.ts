import { execFile, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BookReader } from './book.ts'
import { judgeLedger, whenQuiet } from './control.ts'
import { History } from './history.ts'
import type { Order } from './load.ts'
import { judgePages } from './pages.ts'
import { root } from '../patches.ts'
import type { Plant } from './plant.ts'
import { Conduit, type End } from './process.ts'
import { Client } from './requests.ts'
import { look } from './stores.ts'
import type { User } from './workload.ts'

/** Something that the promises exclude. */
export class Violation extends Error {}

/** One data folder from its first start to its end, with the client that writes to it and the client's book. */
export class Round {
  readonly folder = mkdtempSync(join(tmpdir(), 'atoll-crash-'))
  readonly data = join(this.folder, 'data')
  readonly history = new History()
  readonly #book = join(this.folder, 'book.jsonl')
  readonly #reader = new BookReader(this.#book)
  readonly #seed: number
  readonly #changes: readonly string[]
  readonly #quietMs: number
  #load: ChildProcess | undefined

  /**
   * `changes`: names of sabotages and variants for every process of this round. `quietMs`: how long what is pending may
   * take.
   */
  constructor(seed: number, changes: readonly string[], quietMs: number) {
    this.#seed = seed
    this.#quietMs = quietMs
    this.#changes = changes
  }

  /** The first process of a folder is as it should be, unless it is to be killed: what is broken shows later. */
  start(point: Plant['point']): Conduit {
    return new Conduit(this.data, { point, changes: point || this.hasUsers ? this.#changes : [] })
  }

  /** Whether the client has users to write as. */
  get hasUsers(): boolean {
    return this.#load !== undefined
  }

  /** Registers users and starts the client. */
  async register(url: string): Promise<void> {
    const client = new Client(url)
    const users = await Promise.all(
      Array.from({ length: USERS }, async (_, index): Promise<User> => {
        const name = `crash${index}`
        const { body } = await client.send({
          method: 'POST',
          path: '/users',
          body: { user: { username: name, email: `${name}@example.com`, password: 'a good one' } },
        })
        return { name, token: (body as { user: { token: string } }).user.token } // as RealWorld has it
      }),
    )
    client.close()
    this.#load = fork(
      join(import.meta.dirname, 'load.ts'),
      [this.#book, String(this.#seed), 'op-', JSON.stringify(users)],
      { env: { ...process.env, NODE_OPTIONS: '' } },
    )
  }

  /** Lets the client send requests until it is told to rest. */
  run(url: string): void {
    this.#tell({ run: url })
  }

  /** Resolves when no request is under way any more, and what became of each is in the history. */
  async rest(): Promise<void> {
    if (!this.#load) return
    this.#tell('rest')
    await once(this.#load, 'message')
    this.history.add(this.#reader.next())
  }

  /**
   * Holds what is there against what the client was told. Throws a {@link Violation}. False if the process was gone
   * before all was seen: then nothing is known, and the next one is held to account.
   */
  async check(conduit: Conduit, url: string, everything = false): Promise<boolean> {
    const accounts = await whenQuiet(this.data, this.#quietMs)
    if (!accounts || conduit.isOver) return false
    const seen = look(this.data)
    const client = new Client(url)
    const pages = await judgePages(client, seen, everything)
    client.close()
    if (!pages || conduit.isOver) return false
    const findings = [
      ...this.history.judge(seen),
      ...judgeLedger(accounts, seen.logged),
      ...seen.contradictions,
      ...pages,
      ...alarms(conduit.err),
    ]
    if (findings.length > 0) throw new Violation(findings.slice(0, 10).join('\n'))
    return true
  }

  /** Starts it once more, looks at everything, and lets it drain. */
  async finish(): Promise<void> {
    const conduit = this.start(undefined)
    try {
      const url = await conduit.ready
      if (url === undefined) throw didNotStart(await conduit.ended)
      if (!(await this.check(conduit, url, true)))
        throw new Violation(`it ended while nobody killed it: ${conduit.err}`)
      await promisify(execFile)(process.execPath, ['packages/cli/src/main.ts', 'ledger', '--data', this.data], {
        cwd: root,
      }).catch((error: unknown) => {
        throw new Violation(`atoll ledger failed: ${String(error)}`)
      })
      const { code } = await conduit.end('SIGTERM')
      if (code !== 0) throw new Violation(`told to stop, it ended with ${code}`)
    } finally {
      await conduit.end('SIGKILL')
    }
  }

  /** Ends the client; deletes the folder unless it is worth a look. */
  close(keep: boolean): void {
    this.#load?.kill('SIGKILL')
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }

  #tell(order: Order): void {
    this.#load?.send(order)
  }
}

export function didNotStart({ code, signal, err }: End): Violation {
  return new Violation(`it did not start: ended with ${signal ?? code}: ${err.slice(0, 2_000)}`)
}

/** What it logged as an error: there is no cause for any. */
function alarms(err: string): string[] {
  return err
    .split('\n')
    .filter((line) => line.includes('"level":50') || line.includes('ALARM'))
    .slice(0, 3)
    .map((line) => `it logged: ${line.slice(0, 500)}`)
}

const USERS = 5

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../patches.ts'
import { environmentOf, type Plant } from './plant.ts'

/** How a process ended. */
export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly err: string
}

/** Conduit in a process of its own, as `atoll dev` runs it. */
export class Conduit {
  /** Resolves with its URL when it says that it is ready; with undefined if it ends before. */
  readonly ready: Promise<string | undefined>
  readonly ended: Promise<End>
  readonly #child: ChildProcess
  #err = ''
  #isOver = false

  constructor(data: string, plant: Plant, args: readonly string[] = []) {
    // With other settings in NODE_OPTIONS it would not be the process that is meant.
    const env = { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE, ...environmentOf(plant) }
    const child = spawn(
      process.execPath,
      [
        'packages/cli/src/main.ts',
        'dev',
        'apps/conduit/src/system.ts',
        '--data',
        data,
        '--port',
        '0',
        '--json',
        ...args,
      ],
      { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#err += text))
    this.ended = (once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>).then(([code, signal]) => {
      this.#isOver = true
      return { code, signal, err: this.#err }
    })
    const line = once(createInterface(child.stdout), 'line') as Promise<[string]>
    this.ready = Promise.race([
      line.then(([text]) => (JSON.parse(text) as { url: string }).url),
      this.ended.then(() => undefined),
    ]) // what `atoll dev --json` prints
  }

  /** What it has said on standard error so far. */
  get err(): string {
    return this.#err
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Sends a signal, and resolves when it has ended. */
  end(signal: NodeJS.Signals): Promise<End> {
    this.signal(signal)
    return this.ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/** Makes starts faster by a third; it changes nothing else. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'atoll-crash-compiled')

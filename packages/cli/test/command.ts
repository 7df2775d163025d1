import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const main = join(import.meta.dirname, '../src/main.ts')
export const fixture = join(import.meta.dirname, 'fixture-system.ts')

/** What a command that has ended said. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A folder for one test, and the command line in it. */
export interface Shell {
  readonly data: string
  /** While this file exists, the fixture's warehouse is broken. */
  readonly broken: string
  /** Runs a command that ends by itself; one that gets ready instead is killed. */
  run(...args: string[]): Promise<Ended>
  /** Starts a command that goes on, and resolves when it has said something. */
  follow(...args: string[]): Promise<{ end(signal: NodeJS.Signals): Promise<Ended> }>
  /** Starts `atoll dev` and resolves when it has said that it is ready. */
  dev(...args: string[]): Promise<Dev>
}

export interface Dev {
  readonly url: string
  readonly readyLine: string
  post(path: string, body: object): Promise<Response>
  get(path: string): Promise<unknown>
  /** Tells it to stop, and resolves with what it said from then on. */
  stop(signal?: NodeJS.Signals): Promise<Ended>
}

export async function inShell(work: (shell: Shell) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-cli-'))
  const children = new Set<ChildProcess>()
  const broken = join(folder, 'broken')
  const launch = (args: readonly string[]): ChildProcess & { out: string; err: string } => {
    const child = Object.assign(
      spawn(process.execPath, [main, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, BROKEN: broken },
      }),
      { out: '', err: '' },
    )
    children.add(child)
    child.stdout.setEncoding('utf8').on('data', (text: string) => (child.out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (child.err += text))
    return child
  }
  const data = join(folder, 'data')
  try {
    await work({
      data,
      broken,
      async run(...args) {
        const child = launch(args)
        // it should have been refused, and would go on for good
        child.stdout!.on('data', () => /^\S+ ready /.test(child.out) && child.kill('SIGKILL'))
        const [code] = (await once(child, 'close')) as [number | null]
        return { code, out: child.out, err: child.err }
      },
      async follow(...args) {
        const child = launch(args)
        await once(child.stdout!, 'data')
        return {
          async end(signal) {
            const closed = once(child, 'close') as Promise<[number | null]>
            child.kill(signal)
            const [code] = await closed
            return { code, out: child.out, err: child.err }
          },
        }
      },
      async dev(...args) {
        const child = launch(['dev', fixture, '--data', data, '--port', '0', ...args])
        const lines = createInterface(child.stdout!)
        const [readyLine] = (await Promise.race([
          once(lines, 'line'),
          once(child, 'exit').then(() => Promise.reject(new Error(`it did not get ready: ${child.err}`))),
        ])) as [string]
        const url = /http:\/\/\S+?(?=[ "])/.exec(readyLine)![0]
        return {
          url,
          readyLine,
          post: (path, body) =>
            fetch(url + path, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify(body),
            }),
          get: async (path) => (await fetch(url + path)).json(),
          async stop(signal = 'SIGTERM') {
            child.out = ''
            child.kill(signal)
            const [code] = (await once(child, 'close')) as [number | null]
            return { code, out: child.out, err: child.err }
          },
        }
      },
    })
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** What processes of one fleet trust each other by, unless a test says otherwise; `''` takes it away. */
export const secret = 'a secret of all desks'

const main = join(import.meta.dirname, '../src/main.ts')
export const desk = join(import.meta.dirname, 'fixture-desk.ts')

export const fixtureShop = join(import.meta.dirname, 'fixture-system.ts')

export type Environment = Readonly<Record<string, string>>

/** A process of the command line that goes on. */
export interface Running {
  readonly pid: number
  /** What its ready line says, once it is there. */
  ready(): Promise<{ url?: string; callsUrl?: string; callsBoundUrl?: string; gatewayUrl?: string; instance?: string }>
  /** What it has logged so far. */
  log(): string
  signal(signal: NodeJS.Signals): void
  /** Resolves when it has ended, by itself or not. */
  readonly ended: Promise<unknown>
  /** Signals, and resolves when it has ended. */
  end(signal?: NodeJS.Signals): Promise<{ code: number | null; log: string }>
}

export interface Fleet {
  readonly folder: string
  start(args: readonly string[], env?: Environment): Running
  run(args: readonly string[], env?: Environment): Promise<{ code: number | null; out: string; err: string }>
}

/** Processes of their own in a folder of their own; what still runs in the end is killed. */
export async function inFleet(work: (fleet: Fleet) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-fleet-'))
  const children = new Set<ChildProcess>()
  const launch = (args: readonly string[], env: Environment): ChildProcess => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ATOLL_CALLS_SECRET: secret, ...env },
    })
    children.add(child)
    return child
  }
  try {
    await work({
      folder,
      start(args, env = {}) {
        const child = launch([...args, '--json'], env)
        const ended = once(child, 'close') as Promise<[number | null]>
        let log = ''
        child.stderr!.setEncoding('utf8').on('data', (text: string) => (log += text))
        const first = once(createInterface(child.stdout!), 'line') as Promise<[string]>
        const ready = Promise.race([
          first.then(([line]) => JSON.parse(line) as never),
          ended.then(() => Promise.reject(new Error(`it did not get ready: ${log}`))),
        ])
        ready.catch(() => undefined) // not everybody asks
        return {
          pid: child.pid!,
          ended,
          ready: () => ready,
          log: () => log,
          signal: (signal) => void child.kill(signal),
          async end(signal = 'SIGTERM') {
            child.kill(signal)
            const [code] = await ended
            return { code, log }
          },
        }
      },
      async run(args, env = {}) {
        const child = launch(args, env)
        let [out, err] = ['', '']
        child.stdout!.setEncoding('utf8').on('data', (text: string) => (out += text))
        child.stderr!.setEncoding('utf8').on('data', (text: string) => (err += text))
        const [code] = (await once(child, 'close')) as [number | null]
        return { code, out, err }
      },
    })
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

/** What a process says of itself to others of its system. */
export async function readiness(url: string, known = secret): Promise<{ ready: boolean; reasons: readonly string[] }> {
  return (await (await fetch(`${url}/readyz`, { headers: { authorization: `Bearer ${known}` } })).json()) as {
    ready: boolean
    reasons: readonly string[]
  } // as the docs say
}

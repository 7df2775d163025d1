import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { End } from './process.ts'

/** The notebook of `notebook.ts`, served by a process of its own. */
export interface Served {
  readonly url: string
  readonly child: ChildProcess
  readonly ended: Promise<End>
  /** Keeps a note; resolves with the status. */
  keep(text: string): Promise<number>
  /** What lies in `notes` or `copies`. */
  list(of: 'notes' | 'copies'): Promise<string[]>
}

export interface Serving {
  readonly leaseMs?: number
  readonly env?: Readonly<Record<string, string>>
}

/** Starts it. Rejects with what it said if it does not get ready. */
async function serve(data: string, { leaseMs, env = {} }: Serving = {}): Promise<Served> {
  const args = [join(import.meta.dirname, 'notebook.ts'), data, ...(leaseMs === undefined ? [] : [String(leaseMs)])]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  })
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const ended = (once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>).then(
    ([code, signal]): End => ({ code, signal, err }),
  )
  const [url] = await Promise.race([
    once(createInterface(child.stdout), 'line') as Promise<[string]>,
    ended.then((end) => Promise.reject(new NotReady(end))),
  ])
  return {
    url,
    child,
    ended,
    async keep(text) {
      const answer = await fetch(`${url}/notes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text }),
      })
      await answer.text()
      return answer.status
    },
    async list(of) {
      const answer = await fetch(`${url}/${of}`)
      return ((await answer.json()) as { texts: string[] }).texts // as the notebook's contract has it
    },
  }
}

/** It ended before it was ready. */
export class NotReady extends Error {
  readonly end: End

  constructor(end: End) {
    super(`it ended with ${end.signal ?? end.code}: ${end.err}`)
    this.end = end
  }
}

/** A folder for one test; whatever serves in it is ended afterwards. */
export async function inFolder(
  work: (folder: string, serve: (data: string, serving?: Serving) => Promise<Served>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-notebook-'))
  const running: Served[] = []
  try {
    await work(folder, async (data, serving) => {
      const served = await serve(data, serving)
      running.push(served)
      return served
    })
  } finally {
    for (const { child, ended } of running) {
      child.kill('SIGKILL')
      await ended
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

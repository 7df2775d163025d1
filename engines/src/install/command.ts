import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { AtollError } from '@atoll/host'
import type { User } from '../engine.ts'

/** The path of a program, from PATH or one of these folders. */
export function findProgram(name: string, ...folders: readonly string[]): string | undefined {
  return [...folders, ...(process.env['PATH'] ?? '').split(delimiter)]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly user?: User
  readonly boundMs: number
}

/** Runs a command to its end and returns what it said. Throws with the end of that if it fails or takes too long. */
export async function runCommand(
  file: string,
  args: readonly string[],
  { env, user, boundMs }: CommandOptions,
): Promise<string> {
  const child = spawn(file, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: boundMs,
    ...user,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-SAID_MAX)))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (code === 0) return said
  const how = signal === null ? `ended with ${code}` : `was ended by ${signal} (it may take ${boundMs / 1_000} s)`
  throw new AtollError(
    'UNAVAILABLE',
    `${file} ${args.join(' ')} ${how}; the end of what it said:\n${said.trimEnd().replaceAll(/^/gm, '  ')}`,
  )
}

const SAID_MAX = 4_096

/** Tells of an installation, which may take a minute or two. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

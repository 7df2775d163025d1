import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

/** Packs a built package into `into`, and returns the path of the tarball. */
export function tarball(folder: string, into: string): string {
  mkdirSync(into, { recursive: true })
  const [{ filename }] = JSON.parse(
    npm(['pack', '--json', '--ignore-scripts', '--pack-destination', into], folder),
  ) as [{ filename: string }] // npm documents it so
  return join(into, filename)
}

/** Runs npm in `cwd` under the Node that runs this, and returns what it prints. */
export function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', ['--loglevel=error', ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` },
    shell: process.platform === 'win32',
  })
}

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The flow of Conduit, as `atoll map` draws it. */
export function flowPicture(): string {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-map-'))
  try {
    const file = join(folder, 'flow.svg')
    execFileSync(process.execPath, [
      `${root}packages/cli/src/main.ts`,
      'map',
      `${root}apps/conduit/src/system.ts`,
      '--svg',
      file,
    ])
    return readFileSync(file, 'utf8')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

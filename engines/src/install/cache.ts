import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * A folder of what was fetched or built once for all systems of this user. `build` fills it; who is interrupted leaves
 * nothing behind.
 */
export async function cached(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'atoll-engines', name)
  if (existsSync(folder)) return folder
  const partial = `${folder}.${process.pid}.partial`
  mkdirSync(partial, { recursive: true })
  try {
    await build(partial)
    // Somebody else may have been faster.
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

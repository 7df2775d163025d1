import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { startEngine } from '@atoll/engines'
import { withFolder } from '../world.ts'
import type { LogEngine } from './logs.ts'

/**
 * Runs `work` with the URL of an engine: of one started for it, with empty data and durable settings; or of the one
 * that `ATOLL_ENGINE_…` names.
 */
export async function withEngine<T>(name: LogEngine, work: (url: string) => Promise<T>): Promise<T> {
  const given = process.env[`ATOLL_ENGINE_${name.toUpperCase()}`]
  if (given) return work(given)
  return withFolder(async (folder) => {
    await chmod(folder, 0o755) // not every engine runs as us
    const engine = await startEngine(name, { folder: join(folder, name) })
    try {
      return await work(engine.url)
    } finally {
      await engine.kill() // nobody needs its data, so nobody waits for an orderly end
    }
  })
}

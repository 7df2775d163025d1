import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, type Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { createSqliteStores } from '@atoll/store/sqlite'
import type { System } from 'atoll'
import { startSystem, type RunningSystem } from 'atoll/runtime'

/** A system that runs on files in a folder of its own. */
export interface BenchWorld {
  readonly running: RunningSystem
  readonly host: Host
}

/** Runs `work` on a fresh data folder on disk, and removes it. Everything is on: files, fsync, validation. */
export async function withSystem<T>(system: System, work: (world: BenchWorld) => Promise<T>): Promise<T> {
  return withFolder(async (folder) => {
    const host = createNodeHost()
    const log = await createEmbeddedLog({ file: join(folder, 'log.db'), host })
    const stores = createSqliteStores({ folder, host })
    const keepAlive = setInterval(() => {}, 2 ** 30) // the runtime's timers do not
    const running = await startSystem(system, {
      host,
      log,
      stores,
      logger: { ...silentLogger, error: (fields, message) => console.error(message, fields) },
    })
    try {
      return await work({ running, host })
    } finally {
      clearInterval(keepAlive)
      await running.stop()
      await stores.close()
      await log.close()
    }
  })
}

export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-bench-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs `task` for 0 … count − 1, `inFlight` at a time. */
export async function runConcurrently(
  count: number,
  inFlight: number,
  task: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEngine, type EngineName, type RunningEngine } from '@atoll/engines'

/** An engine of one test's own, to be killed as it likes, and what removes it. */
export interface OwnEngine {
  readonly engine: RunningEngine
  dispose(): Promise<void>
}

export async function startOwnEngine(name: EngineName): Promise<OwnEngine> {
  const folder = mkdtempSync(join(tmpdir(), `atoll-${name}-`))
  const engine = await startEngine(name, { folder })
  return {
    engine,
    async dispose() {
      await engine.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

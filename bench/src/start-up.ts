import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Result } from './result.ts'
import { withFolder } from './world.ts'

/** Time to ready and memory then, each in a process of its own, on a fresh data folder and again on the one it left. */
export async function measureStartUp(): Promise<Result[]> {
  const sixty = await withFolder((folder) => start([join(import.meta.dirname, 'sixty.ts'), folder]))
  const main = join(import.meta.dirname, '../../packages/cli/src/main.ts')
  const conduit = join(import.meta.dirname, '../../apps/conduit/src/system.ts')
  const [first, second] = await withFolder(async (folder) => {
    const args = [main, 'dev', conduit, '--data', join(folder, 'conduit'), '--port', '0', '--json']
    return [await start(args), await start(args)] as const
  })
  return [
    { name: '60 services, first start', value: sixty.seconds, unit: 's', goal: 2, atMost: true },
    { name: '60 services, memory', value: sixty.mebibytes, unit: 'MiB', goal: 350, atMost: true },
    { name: 'Conduit, first start with seed', value: first.seconds, unit: 's', goal: 1.5, atMost: true },
    { name: 'Conduit, second start', value: second.seconds, unit: 's', goal: 1.5, atMost: true },
    { name: 'Conduit, memory', value: second.mebibytes, unit: 'MiB', goal: 200, atMost: true },
  ]
}

/** Starts a process, waits for its first line, reads how much memory it holds, and ends it. */
async function start(args: readonly string[]): Promise<{ seconds: number; mebibytes: number }> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(createInterface(child.stdout), 'line')
    const seconds = (performance.now() - startedMs) / 1_000
    return { seconds, mebibytes: await residentMebibytes(child.pid!) }
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
}

async function residentMebibytes(pid: number): Promise<number> {
  const ps = spawn('ps', ['-o', 'rss=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(ps.stdout), 'line')) as [string]
  return Number(line) / 1024
}

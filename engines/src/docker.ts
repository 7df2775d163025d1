import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { AtollError } from '@atoll/host'
import { engines } from './engines.ts'
import { runCommand } from './install/command.ts'
import type { EngineName } from './url.ts'

const file = fileURLToPath(new URL('../compose.yaml', import.meta.url))

/** Whether there is a Docker engine that answers, and Docker Compose. */
export async function hasDocker(): Promise<boolean> {
  try {
    await runCommand('docker', ['info'], { boundMs: ANSWER_MS })
    await runCommand('docker', ['compose', 'version'], { boundMs: ANSWER_MS })
    return true
  } catch {
    return false
  }
}

/**
 * Starts engines in containers and resolves with their URLs when all are healthy. With `fresh`, without the data of
 * earlier runs.
 */
export async function startContainers(
  names: readonly EngineName[],
  { fresh }: { fresh: boolean },
): Promise<Map<EngineName, string>> {
  if (fresh) {
    await compose('rm', '--force', '--stop', ...names)
    await runCommand('docker', ['volume', 'rm', '--force', ...names.map((name) => `atoll-engines_${name}`)], {
      boundMs: ANSWER_MS,
    })
  }
  await compose('up', '--detach', '--wait', ...names)
  return new Map(names.map((name) => [name, engines[name].url(engines[name].port)]))
}

/** Stops them. Their data stay. */
export async function stopContainers(names: readonly EngineName[]): Promise<void> {
  await compose('stop', ...names)
}

/** It shows its own progress: pulling images may take minutes. */
async function compose(...args: readonly string[]): Promise<void> {
  const child = spawn('docker', ['compose', '--file', file, ...args], { stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0)
    throw new AtollError(
      'UNAVAILABLE',
      `docker compose ${args.join(' ')} failed: it says above why; to do without Docker, use --no-docker`,
    )
}

const ANSWER_MS = 10_000

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEngine, type RunningEngine } from '@atoll/engines'

/** Runs `body` with a RabbitMQ of its own, to be killed as it likes, and removes it. */
export async function withServer(body: (server: RunningEngine) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-rabbitmq-'))
  const server = await startEngine('rabbitmq', { folder })
  try {
    await body(server)
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

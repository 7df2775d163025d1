import assert from 'node:assert/strict'
import { findPorts } from '@atoll/engines'
import type { Logger } from '@atoll/host'
import { calls as callsOfLogs } from '../src/conformance/away.ts'
import { assertRefused, createRecords } from '../src/conformance/records.ts'
import type { Log } from '../src/driver.ts'
import { createProxy } from './proxy.ts'
import { createRecorder } from './recorder.ts'
import { eventually } from './waiting.ts'

// What logs on different engines do alike when theirs cannot be reached.

/** Short, and yet longer than a machine at its limits takes for a call. */
export const callMs = 2_000

/** What can be asked of a log on whose partition 0 of `orders` are three records. */
export const calls: typeof callsOfLogs = { ...callsOfLogs, read: (log) => log.read('orders', 0, null, 10) }

/** Resolves when the log does again what it is for. */
export async function appendsAgain(log: Log, first: number, last: number): Promise<void> {
  await eventually('the log appends again', async () => {
    await log.append('orders', createRecords('orders', 0, first, last))
    return true
  })
}

/** Opens a log whose engine is down, and lets the engine come. */
export async function assertWaitsForItsEngine(
  engine: { kill(): Promise<unknown>; start(): Promise<unknown> },
  open: (logger: Logger) => Promise<Log>,
): Promise<void> {
  await engine.kill()
  const recorder = createRecorder()
  const log = await open(recorder)
  try {
    for (const call of Object.values(calls)) await assertRefused('UNAVAILABLE', call(log))
    log.watch('orders', () => {})
    await engine.start()
    // what was refused is not written now
    await eventually('the log reads', async () => (await log.read('orders', 0, null, 10)).length === 0)
    await appendsAgain(log, 1, 3)
    assert.equal(recorder.lines.length, 2, recorder.lines.join('\n'))
    assert.match(recorder.lines[0]!, /^warn .*cannot be reached.*ECONN/)
    assert.match(recorder.lines[1]!, /^info .*answers again/)
  } finally {
    await log.close()
  }
}

/** Opens a log where something accepts connections and never answers. */
export async function assertOpensWithoutAnAnswer(open: (port: number) => Promise<Log>): Promise<void> {
  const silent = await createProxy({ host: '127.0.0.1', port: await findPorts(1) })
  silent.silence()
  const log = await open(silent.port) // or it hangs, and so does the test
  try {
    const error = await assertRefused('UNAVAILABLE', log.tail('orders', 0))
    assert.match(error.message, /connectMs/)
  } finally {
    await log.close()
    await silent.close()
  }
}

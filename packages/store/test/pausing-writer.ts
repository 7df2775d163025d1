import { parentPort, workerData } from 'node:worker_threads'
import { setImmediate } from 'node:timers/promises'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Transaction } from '../src/driver.ts'
import { createPostgresStores } from '../src/postgres.ts'
import { counters, insertCounter } from './postgres-world.ts'

// Runs as a thread or a process of its own: begins a transaction, says 'inside', is stopped by whoever started it, goes
// on, and says what became of its write.

/** What it is to do. */
export interface PausingWriter {
  readonly url: string
  readonly system: string
  readonly idleMs: number
  /** Stops in between two statements, or while a long answer is on its way. */
  readonly stops: 'between statements' | 'in an answer'
  /** A thread stops itself until this is not 0 any more. A process is stopped from outside, and asks on and on. */
  readonly gate?: Int32Array<SharedArrayBuffer>
}

// whoever starts it says so
const { url, system, idleMs, stops, gate } = (workerData ?? JSON.parse(process.argv[2]!)) as PausingWriter
const say = (what: string): void => (parentPort ? parentPort.postMessage(what) : void process.send!(what))

const driver = createPostgresStores({ url, system, host: createNodeHost(), limits: { idleMs, workMs: 60_000 } })
const store = await driver.open('orders', counters)

async function work(tx: Transaction): Promise<void> {
  await tx.run(insertCounter, ['of the stopped', 1])
  const answer =
    stops === 'in an answer'
      ? tx.all({ sql: `SELECT repeat('x', 1000000) AS x FROM generate_series(1, 100)` })
      : undefined
  await setImmediateWhile(answer)
  say('inside')
  if (gate) Atomics.wait(gate, 0, 0)
  else for (;;) await tx.get({ sql: 'SELECT 1 AS one' })
  await answer
  await tx.run(insertCounter, ['of the stopped, later', 1])
}

/** Lets a question go out. */
async function setImmediateWhile(answer: Promise<unknown> | undefined): Promise<void> {
  if (answer) await setImmediate()
}

await store.write(work).then(
  () => say('written'),
  (error: unknown) => say(error instanceof AtollError ? error.code : String(error)),
)
const { length } = await store.reader.all({ sql: 'SELECT name FROM counters' })
await store.write((tx) => tx.run(insertCounter, [`after it woke up, and saw ${length}`, 1]))
say('went on')
await driver.close()

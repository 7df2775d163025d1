// The client: a process of its own, which sends requests while it is told to and writes down what became of each.
import { setTimeout } from 'node:timers/promises'
import { createRandom } from '@atoll/testkit'
import { Book } from './book.ts'
import { Client, type Reply } from './requests.ts'
import { Workload, type Task, type User } from './workload.ts'

/**
 * What the client is told: to begin against a process that listens at `url`, or to rest. It answers each `rest` with
 * `rested`.
 */
export type Order = { readonly run: string } | 'rest'
export interface Rested {
  readonly rested: true
}
/** What it tells of each acknowledgement, where processes come and go while it goes on. */
export type Told = Rested | 'acknowledged'

/** Between tries, while a process that is asked, or one that it asks, is being started again. */
const AGAIN_MS = 50
/** Requests under way at a time. */
const WORKERS = 12

const [, , path, seed, prefix, users, through] = process.argv as unknown as [
  string,
  string,
  string,
  string,
  string,
  string,
  'through' | undefined,
] // as who starts it gives them
/**
 * Whether the process that answers passes requests on: then it does not end with what it answers for, and may not know
 * what became of them.
 */
const passesOn = through !== undefined
const book = new Book(path)
const workload = new Workload(createRandom(Number(seed)), JSON.parse(users) as User[], prefix)
/** Of the last process: unknown, and sent again under their Idempotency-Key before anything else. */
const again: Task[] = []
/** Of the last process: unknown for good. Their registers are free when that process has ended. */
const lost: Task[] = []
let running: { client: Client; isOn: boolean; workers: Promise<unknown> } | undefined

process.on('message', (order: Order) => void (order === 'rest' ? rest() : run(order.run)))
process.on('disconnect', () => process.exit(0))

function run(url: string): void {
  for (const task of lost.splice(0)) workload.free(task)
  const queue = again.splice(0)
  const state = { client: new Client(url, passesOn), isOn: true, workers: Promise.resolve<unknown>(undefined) }
  state.workers = Promise.all(Array.from({ length: WORKERS }, () => work(state, queue)))
  running = state
}

async function rest(): Promise<void> {
  if (running) {
    running.isOn = false
    await running.workers
    running.client.close()
    running = undefined
  }
  process.send!({ rested: true } satisfies Rested) // it was started with a channel
}

async function work(state: { readonly client: Client; readonly isOn: boolean }, queue: Task[]): Promise<void> {
  while (state.isOn) {
    const repeated = queue.shift()
    const reply = await perform(state.client, repeated ?? workload.next(), repeated !== undefined)
    if (reply.status === 0 && !passesOn) break // that process is gone
    if (reply.status === 0 || (passesOn && reply.status >= 500)) await setTimeout(AGAIN_MS)
  }
  again.push(...queue.splice(0))
}

async function perform(client: Client, task: Task, isRepeated: boolean): Promise<Reply> {
  const { id, kind, register, value } = task
  if (!isRepeated) await book.note({ state: 'tried', id, kind, register, value })
  const reply = await client.send(task.sending)
  // The second answer says what became of the first request only if its recorded answer was looked for.
  const outcome =
    isRepeated && (reply.status === 0 || reply.status === 401 || reply.status === 429 || reply.status >= 500)
      ? 'unknown'
      : reply.outcome
  await book.note({ state: outcome, id, status: reply.status, ...(isRepeated ? { again: true } : {}) })
  if (outcome === 'unknown') (task.sending.headers?.['idempotency-key'] === undefined ? lost : again).push(task)
  else {
    if (outcome === 'acknowledged') {
      task.done(reply.body)
      if (passesOn) process.send!('acknowledged' satisfies Told) // it was started with a channel
    }
    workload.free(task)
  }
  return reply
}

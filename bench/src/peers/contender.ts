import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Assignment, Batch, Report, Times } from './program.ts'

/**
 * A program that does the work: as two services in two processes, on stores in PostgreSQL and an engine that carries
 * the events.
 */
export interface Contender {
  readonly name: string
  /** Where the program is. */
  readonly file: string
  /** The URL of the engine that carries the events. */
  readonly engine: string
  readonly variant?: string
  /** Where it keeps the orders and the shipments, given the name of the run. */
  readonly tables?: (name: string) => readonly [orders: string, shipments: string]
}

export interface Round {
  /** From the first request until the last effect was committed. */
  readonly perSecond: number
  /** From a request until its effect was committed. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** From a request until its answer. */
  readonly answerP50Ms: number
  /** What both processes computed for one order; that of the engines is not in it. */
  readonly cpuMs: number
}

export interface RunningContender {
  readonly contender: Contender
  measure(count: number, inFlight: number): Promise<Round>
  /**
   * Halts both processes, so that what they do when idle takes nothing from others. What they had not finished waits.
   */
  pause(): void
  resume(): void
}

/** Runs `work` with the two processes of a contender, on a fresh database, and removes both. */
export async function withContender<T>(
  contender: Contender,
  postgres: string,
  work: (running: RunningContender) => Promise<T>,
): Promise<T> {
  const name = `bench-${randomBytes(4).toString('hex')}`
  return withDatabase(postgres, name, async (database, admin) => {
    const assignment = {
      database,
      engine: contender.engine,
      name,
      ...(contender.variant !== undefined && { variant: contender.variant }),
    }
    const children: Child[] = []
    const [ordersTable, shipmentsTable] = contender.tables?.(name) ?? ['orders.orders', 'shipping.shipments']
    let placed = 0
    try {
      const shipping = new Child(contender.file, { ...assignment, role: 'shipping' })
      children.push(shipping)
      await shipping.ready
      const orders = new Child(contender.file, { ...assignment, role: 'orders' })
      children.push(orders)
      await orders.ready
      return await work({
        contender,
        pause: () => children.forEach((child) => child.signal('SIGSTOP')),
        resume: () => children.forEach((child) => child.signal('SIGCONT')),
        async measure(count, inFlight) {
          const batch: Batch = { from: placed, count, inFlight }
          placed += count
          const [begun, shipped] = await Promise.all([orders.ask(batch), shipping.ask(batch)])
          const { rows } = await admin.query(
            `SELECT (SELECT count(*)::int FROM ${ordersTable}) AS orders, (SELECT count(*)::int FROM ${shipmentsTable}) AS shipments`,
          )
          const [{ orders: orderCount, shipments }] = rows as [{ orders: number; shipments: number }]
          if (orderCount !== placed || shipments !== placed)
            throw new Error(
              `${contender.name}: ${placed} orders were placed; there are ${orderCount} orders and ${shipments} shipments`,
            )
          return toRound(begun, shipped)
        },
      })
    } finally {
      await Promise.all(children.map((child) => child.stop()))
    }
  })
}

type Answer = Extract<Report, { times: Times }>

function toRound({ times: placed, cpuMs: placing }: Answer, { times: shipped, cpuMs: shipping }: Answer): Round {
  const latencies = shipped.map(([at], index) => at - placed[index]![0]).sort((a, b) => a - b)
  const answers = placed.map(([begun, ended]) => ended - begun).sort((a, b) => a - b)
  const begun = placed.reduce((first, [at]) => Math.min(first, at), Number.POSITIVE_INFINITY)
  const ended = shipped.reduce((last, [at]) => Math.max(last, at), 0)
  const at = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)]!
  return {
    perSecond: (placed.length / (ended - begun)) * 1_000,
    p50Ms: at(latencies, 0.5),
    p99Ms: at(latencies, 0.99),
    answerP50Ms: at(answers, 0.5),
    cpuMs: (placing + shipping) / placed.length,
  }
}

/** One of the two processes. Whatever goes wrong in it ends the measuring. */
class Child {
  readonly ready: Promise<unknown>
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #failed: Promise<never>
  readonly #kill = (): boolean => this.#process.kill('SIGKILL')

  constructor(file: string, assignment: Assignment) {
    this.#process = fork(file, [JSON.stringify(assignment)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      execArgv: ['--disable-warning=DeprecationWarning'],
    })
    process.once('exit', this.#kill) // one that is halted would not notice that it is alone
    const exited = once(this.#process, 'exit') as Promise<[code: number | null, signal: string | null]>
    this.#exited = exited.then(() => process.off('exit', this.#kill))
    this.#failed = exited.then(([code, signal]) =>
      Promise.reject(
        new Error(
          `${file} (${assignment.role}) ended with ${signal ?? `code ${code}`} before it was told to; what it said is above`,
        ),
      ),
    )
    this.#failed.catch(() => undefined) // raced with what is waited for
    this.ready = this.#next()
  }

  async ask(batch: Batch): Promise<Answer> {
    const answer = this.#next()
    this.#process.send(batch)
    const report = await answer
    if ('times' in report) return report
    throw new Error('a program answered with something else than times')
  }

  async #next(): Promise<Report> {
    const next = once(this.#process, 'message').then(([report]) => report as Report) // from `program.ts`
    return Promise.race([next, this.#failed, deadline()])
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(signal)
  }

  async stop(): Promise<void> {
    this.signal('SIGCONT')
    if (this.#process.connected) this.#process.disconnect()
    const timer = setTimeout(this.#kill, STOP_MS)
    await this.#exited
    clearTimeout(timer)
  }
}

/** A benchmark that hangs measures nothing. */
function deadline(): Promise<never> {
  return new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`a program did not answer within ${ANSWER_MS} ms`)), ANSWER_MS).unref(),
  )
}

const ANSWER_MS = 60_000
const STOP_MS = 5_000

async function withDatabase<T>(
  postgres: string,
  name: string,
  work: (url: string, admin: pg.Pool) => Promise<T>,
): Promise<T> {
  const server = openPool(postgres)
  await server.query(`CREATE DATABASE "${name}"`)
  const url = new URL(postgres)
  url.pathname = `/${name}`
  const admin = openPool(url.href)
  try {
    await admin.query(`
      CREATE SCHEMA orders; CREATE TABLE orders.orders (order_id text PRIMARY KEY, buyer_id text NOT NULL, sku text NOT NULL, cents integer NOT NULL);
      CREATE SCHEMA shipping; CREATE TABLE shipping.shipments (order_id text PRIMARY KEY, sku text NOT NULL)`)
    return await work(url.href, admin)
  } finally {
    await admin.end()
    await server.query(`DROP DATABASE "${name}" WITH (FORCE)`)
    const { rows } = await server.query<{ role: string }>(
      'SELECT rolname AS role FROM pg_roles WHERE starts_with(rolname, $1)',
      [`${name}_`],
    )
    for (const { role } of rows) await server.query(`DROP ROLE "${role}"`)
    await server.end()
  }
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 1 })
  pool.on('error', () => {}) // of an idle connection; the next query says so itself
  return pool
}

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { openPool, type Pool } from '@atoll/postgres'
import { createPostgresStores } from '@atoll/store/postgres'
import { openSystem, type LedgerRow } from 'atoll/runtime'
import conduit from '../conduit/system.ts'
import { BookReader } from '../crash/book.ts'
import { judgeLedger } from '../crash/control.ts'
import { History } from '../crash/history.ts'
import type { Order } from '../crash/load.ts'
import { judgePages } from '../crash/pages.ts'
import { Client } from '../crash/requests.ts'
import { Violation } from '../crash/round.ts'
import { eventually } from '../crash/wait.ts'
import type { User } from '../crash/workload.ts'
import type { Cluster } from './cluster.ts'
import { openLog } from './engines.ts'
import { look, readLog } from './observe.ts'

/** A client that writes to a cluster, the client's book, and what the cluster is held to by it. */
export class Trial {
  readonly history = new History()
  readonly #cluster: Cluster
  readonly #seed: number
  #load: ChildProcess | undefined
  #reader: BookReader | undefined
  #pool: Pool | undefined

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster
    this.#seed = seed
  }

  /** Registers users and starts the client, which rests at first. The cluster is ready. */
  async start(): Promise<void> {
    this.#pool = openPool({ url: this.#cluster.engines.stores.engine.url, host: createNodeHost(), applicationName: 'proof', connectionsMax: 2 })
    const client = new Client(this.#cluster.gatewayUrl)
    const users: User[] = []
    for (let index = 0; index < USERS; index++) {
      const name = `crash${index}`
      const { body, status } = await client.send({ method: 'POST', path: '/users', body: { user: { username: name, email: `${name}@example.com`, password: 'a good one' } } })
      if (status >= 300) throw new Violation(`nobody could register: ${status} ${JSON.stringify(body)}\n${this.#cluster.said()}`)
      users.push({ name, token: (body as { user: { token: string } }).user.token }) // as RealWorld has it
    }
    client.close()
    const book = join(this.#cluster.folder, 'book.jsonl')
    this.#reader = new BookReader(book)
    this.#load = fork(join(import.meta.dirname, '../crash/load.ts'), [book, String(this.#seed), 'op-', JSON.stringify(users), 'through'], { env: { ...process.env, NODE_OPTIONS: '' } })
  }

  /** Lets the client send requests until it is told to rest. */
  run(): void {
    this.#tell({ run: this.#cluster.gatewayUrl })
  }

  /** Resolves when no request is under way any more, and what became of each is in the history. */
  async rest(): Promise<void> {
    this.#tell('rest')
    await once(this.#load!, 'message')
    this.history.add(this.#reader!.next())
  }

  /**
   * Waits until everything has come to rest, `boundMs` at the most, and holds what is there against what the client was told. Resolves
   * with how long that took. Throws a {@link Violation}.
   */
  async check(boundMs: number, everything = false): Promise<number> {
    const cluster = this.#cluster
    const sinceMs = performance.now()
    await cluster.allReady(boundMs)
    const { ledger, close } = await this.#openLedger()
    let accounts: LedgerRow[] = []
    const isQuiet = await eventually(async () => {
      accounts = await ledger()
      return accounts.every((account) => account.pending === 0)
    }, boundMs)
    const tookMs = performance.now() - sinceMs
    await close()
    if (!isQuiet) throw new Violation(`not everything was handled after ${boundMs} ms: ${JSON.stringify(accounts.filter((account) => account.pending > 0).slice(0, 5))}\n${cluster.said()}`)
    const logged = await readLog(cluster.log, cluster.engines.log.engine.url)
    const seen = { ...(await look(this.#pool!)), events: logged.causes, logged: logged.types }
    const client = new Client(cluster.gatewayUrl)
    const pages = await judgePages(client, seen, everything)
    client.close()
    const findings = [...this.history.judge(seen), ...judgeLedger(accounts, seen.logged), ...logged.findings, ...seen.contradictions, ...(pages ?? ['the gateway did not answer while nobody harmed it'])]
    if (findings.length > 0) throw new Violation(`${findings.slice(0, 10).join('\n')}\n${cluster.said()}`)
    return tookMs
  }

  async stop(): Promise<void> {
    this.#load?.kill('SIGKILL')
    await this.#pool?.close()
  }

  async #openLedger(): Promise<{ ledger: () => Promise<LedgerRow[]>; close: () => Promise<void> }> {
    const host = createNodeHost()
    const { engines, log: name } = this.#cluster
    const log = await openLog(name, engines.log.engine.url, conduit.name)
    const stores = createPostgresStores({ url: engines.stores.engine.url, system: conduit.name, host })
    const system = await openSystem(conduit, { host, log, stores, logger: silentLogger })
    return {
      ledger: () => system.admin.ledger().catch((error: unknown) => {
        if (AtollError.from(error).code === 'UNAVAILABLE') return [pendingSomewhere] // it has just been started again
        throw error
      }),
      close: async () => {
        await system.close()
        await stores.close()
        await log.close()
      },
    }
  }

  #tell(order: Order): void {
    this.#load!.send(order)
  }
}

const USERS = 5
const pendingSomewhere: LedgerRow = { event: '', source: '', subscription: '', published: 1, handled: 0, pending: 1, parked: 0, dead: 0, balanced: true }

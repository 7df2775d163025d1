import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import { openPool, type Pool } from '@atoll/postgres'
import conduit from '../conduit/system.ts'
import { BookReader } from '../crash/book.ts'
import { judgeLedger } from '../crash/control.ts'
import { History, type Counts } from '../crash/history.ts'
import type { Order, Told } from '../crash/load.ts'
import { judgePages } from '../crash/pages.ts'
import { Client } from '../crash/requests.ts'
import { Violation } from '../crash/round.ts'
import type { User } from '../crash/workload.ts'
import type { App, Trial } from './app.ts'
import type { Cluster } from './cluster.ts'
import { look, readLog } from './observe.ts'
import { whenQuiet } from './quiet.ts'

export const conduitApp: App = {
  system: conduit,
  module: 'apps/conduit/src/system.ts',
  // Who writes, who writes about that, who reads.
  groups: [
    ['identity', 'profiles'],
    ['articles', 'comments'],
    ['favorites', 'reading'],
  ],
  createTrial: (cluster, seed) => new ConduitTrial(cluster, seed),
}

/** The client is a process of its own, with a book of its own. */
class ConduitTrial implements Trial {
  acknowledged = 0
  readonly #history = new History()
  readonly #cluster: Cluster
  readonly #seed: number
  #load: ChildProcess | undefined
  #rested: (() => void) | undefined
  #reader: BookReader | undefined
  #pool: Pool | undefined

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster
    this.#seed = seed
  }

  get counts(): Counts {
    return this.#history.counts
  }

  /** Registers users, and starts the client. */
  async start(): Promise<void> {
    this.#pool = openPool({
      url: this.#cluster.engines.stores.engine.url,
      host: createNodeHost(),
      applicationName: 'proof',
      connectionsMax: 2,
    })
    const client = new Client(this.#cluster.gatewayUrl)
    const users: User[] = []
    for (let index = 0; index < USERS; index++) {
      const name = `crash${index}`
      const { body, status } = await client.send({
        method: 'POST',
        path: '/users',
        body: { user: { username: name, email: `${name}@example.com`, password: 'a good one' } },
      })
      if (status >= 300)
        throw new Violation(`nobody could register: ${status} ${JSON.stringify(body)}\n${this.#cluster.said()}`)
      users.push({ name, token: (body as { user: { token: string } }).user.token }) // as RealWorld has it
    }
    client.close()
    const book = join(this.#cluster.folder, 'book.jsonl')
    this.#reader = new BookReader(book)
    this.#load = fork(
      join(import.meta.dirname, '../crash/load.ts'),
      [book, String(this.#seed), 'op-', JSON.stringify(users), 'through'],
      { env: { ...process.env, NODE_OPTIONS: '' } },
    )
    this.#load.on('message', (told: Told) => {
      if (told === 'acknowledged') this.acknowledged++
      else this.#rested?.()
    })
  }

  run(): void {
    this.#tell({ run: this.#cluster.gatewayUrl })
  }

  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#rested = resolve
      this.#tell('rest')
    })
    this.#history.add(this.#reader!.next())
  }

  async check(boundMs: number, everything: boolean): Promise<number> {
    const cluster = this.#cluster
    const { accounts, tookMs } = await whenQuiet(cluster, boundMs)
    const logged = await readLog(cluster)
    const seen = { ...(await look(this.#pool!)), events: logged.causes, logged: logged.types }
    const client = new Client(cluster.gatewayUrl)
    const pages = await judgePages(client, seen, everything)
    client.close()
    const findings = [
      ...this.#history.judge(seen),
      ...judgeLedger(accounts, seen.logged),
      ...logged.findings,
      ...seen.contradictions,
      ...(pages ?? ['the gateway did not answer while nobody harmed it']),
    ]
    if (findings.length > 0) throw new Violation(`${findings.slice(0, 10).join('\n')}\n${cluster.said()}`)
    return tookMs
  }

  async stop(): Promise<void> {
    this.#load?.kill('SIGKILL')
    await this.#pool?.close()
  }

  #tell(order: Order): void {
    this.#load!.send(order)
  }
}

const USERS = 5

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
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
import { openLog, PARTITIONS, startEngines, stopEngines, type Engines, type LogName } from './engines.ts'
import { Member } from './member.ts'
import { look, readLog } from './observe.ts'

/**
 * Conduit as separate processes on PostgreSQL and an engine for the log: its services in three groups, each group twice, and a gateway;
 * with a client that writes to it, and the client's book.
 */
export class Cluster {
  readonly folder: string
  readonly log: LogName
  readonly history = new History()
  members: Member[] = []
  #engines: Engines | undefined
  #gateway: Member | undefined
  readonly #seed: number
  #gatewayUrl = ''
  #load: ChildProcess | undefined
  #reader: BookReader | undefined
  #pool: Pool | undefined
  #run = 0

  constructor(log: LogName, folder: string, seed: number) {
    this.log = log
    this.folder = folder
    this.#seed = seed
  }

  async start(): Promise<void> {
    mkdirSync(this.folder, { recursive: true })
    this.#engines = await startEngines(this.log, this.folder)
    const places = groups.flatMap((services) => [1, 2].map((instance) => ({ services, name: `${services[0]}-${instance}` })))
    const ports = await freePorts(places.length + 1)
    const addresses: Record<string, string[]> = {}
    for (const [index, { services }] of places.entries()) for (const service of services) (addresses[service] ??= []).push(`http://127.0.0.1:${ports[index]}`)
    this.members = places.map(({ services, name }, index) => {
      const config = this.#configure(name, ports[index]!, addresses)
      return new Member(name, `http://127.0.0.1:${ports[index]}`, ['apps/conduit/src/system.ts', '--config', config, ...services.flatMap((service) => ['--service', service])])
    })
    const port = ports[places.length]!
    this.#gatewayUrl = `http://127.0.0.1:${port}`
    this.#gateway = new Member('gateway', this.#gatewayUrl, ['apps/conduit/src/system.ts', '--config', this.#configure('gateway', undefined, addresses), '--gateway', '--port', String(port)])
    for (const member of [...this.members, this.gateway]) member.start()
    await this.allReady(START_MS)
    this.#pool = openPool({ url: this.engines.stores.engine.url, host: createNodeHost(), applicationName: 'proof', connectionsMax: 2 })
    await this.#register()
  }

  /** Once it has been started. */
  get engines(): Engines {
    return this.#engines!
  }

  /** Once it has been started. */
  get gateway(): Member {
    return this.#gateway!
  }

  /** Resolves when every process is ready. Throws a {@link Violation} if one is not within the bound. */
  async allReady(boundMs: number): Promise<void> {
    await Promise.all([...this.members, this.gateway].map(async (member) => {
      if (!(await member.ready(boundMs))) throw new Violation(`${member.name} was not ready after ${boundMs} ms: ${await member.state()}; it said: ${member.err.slice(-2_000)}`)
    }))
  }

  /** Lets the client send requests until it is told to rest. */
  run(): void {
    this.#tell({ run: this.#gatewayUrl })
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
    const sinceMs = performance.now()
    await this.allReady(boundMs)
    const { ledger, close } = await this.#openLedger()
    let accounts: LedgerRow[] = []
    const isQuiet = await eventually(async () => {
      accounts = await ledger()
      return accounts.every((account) => account.pending === 0)
    }, boundMs)
    const tookMs = performance.now() - sinceMs
    await close()
    if (!isQuiet) throw new Violation(`not everything was handled after ${boundMs} ms: ${JSON.stringify(accounts.filter((account) => account.pending > 0).slice(0, 5))}\n${this.#said()}`)
    const logged = await readLog(this.log, this.engines.log.engine.url)
    const seen = { ...(await look(this.#pool!)), events: logged.causes, logged: logged.types }
    const client = new Client(this.#gatewayUrl)
    const pages = await judgePages(client, seen, everything)
    client.close()
    const findings = [...this.history.judge(seen), ...judgeLedger(accounts, seen.logged), ...logged.findings, ...seen.contradictions, ...(pages ?? ['the gateway did not answer while nobody harmed it'])]
    if (findings.length > 0) throw new Violation(`${findings.slice(0, 10).join('\n')}\n${this.#said()}`)
    return tookMs
  }

  async stop(keep: boolean): Promise<void> {
    this.#load?.kill('SIGKILL')
    const members = this.#gateway ? [...this.members, this.#gateway] : this.members
    await Promise.all(members.map((member) => (member.signal('SIGCONT'), member.end('SIGKILL'))))
    await this.#pool?.close()
    if (this.#engines) await stopEngines(this.#engines)
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }

  async #openLedger(): Promise<{ ledger: () => Promise<LedgerRow[]>; close: () => Promise<void> }> {
    const host = createNodeHost()
    const log = await openLog(this.log, this.engines.log.engine.url, conduit.name)
    const stores = createPostgresStores({ url: this.engines.stores.engine.url, system: conduit.name, host })
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

  #configure(instance: string, port: number | undefined, addresses: Readonly<Record<string, readonly string[]>>): string {
    const file = join(this.folder, `${instance}.json`)
    const config = {
      instance,
      store: { url: this.engines.stores.url },
      log: { url: this.engines.log.url },
      discovery: { static: addresses },
      // RabbitMQ's streams do not wait for the disk; what that means stands in docs/operating/engines.md.
      accept: this.log === 'rabbitmq' ? ['rabbitmq.fsync', 'rabbitmq.replicas'] : [],
      runtime: { leaseMs: LEASE_MS, deadlineMs: 5_000, causalWaitMs: 3_000, lookMs: 500, partitions: PARTITIONS },
      ...(port === undefined ? {} : { calls: { port } }),
    }
    writeFileSync(file, JSON.stringify(config, null, 2))
    return file
  }

  /** Registers users and starts the client. */
  async #register(): Promise<void> {
    const client = new Client(this.#gatewayUrl)
    const users: User[] = []
    for (let index = 0; index < USERS; index++) {
      const name = `crash${index}`
      const { body, status } = await client.send({ method: 'POST', path: '/users', body: { user: { username: name, email: `${name}@example.com`, password: 'a good one' } } })
      if (status >= 300) throw new Violation(`nobody could register: ${status} ${JSON.stringify(body)}\n${this.#said()}`)
      users.push({ name, token: (body as { user: { token: string } }).user.token }) // as RealWorld has it
    }
    client.close()
    const book = join(this.folder, `book-${++this.#run}.jsonl`)
    this.#reader = new BookReader(book)
    this.#load = fork(join(import.meta.dirname, '../crash/load.ts'), [book, String(this.#seed), 'op-', JSON.stringify(users), 'through'], { env: { ...process.env, NODE_OPTIONS: '' } })
  }

  #tell(order: Order): void {
    this.#load!.send(order)
  }

  #said(): string {
    return [...this.members, this.gateway].map((member) => `${member.name} said: ${member.err.slice(-1_500)}`).join('\n')
  }
}

/** Three processes' worth of services: who writes, who writes about that, who reads. */
const groups = [['identity', 'profiles'], ['articles', 'comments'], ['favorites', 'reading']] as const
/** Short, so that a pause outlasts it soon. */
export const LEASE_MS = 2_000
const START_MS = 60_000
const USERS = 5
const pendingSomewhere: LedgerRow = { event: '', source: '', subscription: '', published: 1, handled: 0, pending: 1, parked: 0, dead: 0, balanced: true }

/** Ports that nobody listens at now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server
  }))
  const ports = servers.map((server) => (server.address() as { port: number }).port) // it listens on a port
  await Promise.all(servers.map(async (server) => (server.close(), once(server, 'close'))))
  return ports
}

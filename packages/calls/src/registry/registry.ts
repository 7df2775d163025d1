import { Agent, request } from 'undici'
import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import { Listener, type Exchange, type ListenerLimits } from '../listener.ts'
import { encodeProblem, isObject, parse } from '../protocol.ts'
import { assertGuarded, type Trust } from '../secret.ts'
import type { Listed, ListedInstance } from './protocol.ts'

export interface RegistryOptions extends Trust {
  readonly host: Host
  readonly logger: Logger
  /** Only what differs from {@link defaultRegistryLimits}. */
  readonly limits?: Partial<RegistryLimits> | undefined
}

/** Every limit of a registry. */
export interface RegistryLimits extends ListenerLimits {
  /** Instances at a time; more are refused with OVERLOADED. Default 10,000. */
  readonly instancesMax: number
  /** Watchers that wait at a time; more are refused with OVERLOADED. Default 5,000. */
  readonly watchersMax: number
  /** The longest lease, milliseconds. Default 60,000. */
  readonly leaseMsMax: number
  /** How often instances are asked whether they are ready, milliseconds. Default 1,000. */
  readonly checkMs: number
  /** How long they may take to say so, milliseconds. Default 1,000. */
  readonly readyMs: number
  /**
   * How long after its start a registry may not know everybody yet, milliseconds. Default 6,000, as long as the default
   * lease.
   */
  readonly warmUpMs: number
}

const defaultRegistryLimits: RegistryLimits = {
  bodyBytesMax: 64 * 2 ** 10,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  connectionsMax: 10_000,
  pipelinedMax: 10,
  pipelinedTotalMax: 1_000,
  answerTimeoutMs: 10_000,
  unsentBytesMax: 64 * 2 ** 20,
  arrivingBytesMax: 64 * 2 ** 20,
  lingerMs: 500,
  instancesMax: 10_000,
  watchersMax: 5_000,
  leaseMsMax: 60_000,
  checkMs: 1_000,
  readyMs: 1_000,
  warmUpMs: 6_000,
}

/**
 * Knows which instances there are. Its state is soft: a new one learns of everybody within a lease, and meanwhile
 * nobody forgets anybody.
 */
export interface Registry {
  /** PORT_TAKEN if the port is, CONFIG_INVALID without a secret, unless that was given up by name for loopback. */
  listen(at: { port: number; host: string }): Promise<{ url: string; port: number }>
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * Makes a registry: instances come with leases that they renew, it asks them whether they are ready, and watchers hear
 * of changes.
 */
export function createRegistry(options: RegistryOptions): Registry {
  return new HttpRegistry(options)
}

/** One instance under a lease. */
interface Entry extends ListedInstance {
  readonly system: string
  expiresMs: number
  /** Undefined until it was asked for the first time. */
  isReady: boolean | undefined
  /** Questions in a row that were not answered. */
  silent: number
}

class HttpRegistry implements Registry {
  readonly #host: Host
  readonly #logger: Logger
  readonly #trust: Trust
  readonly #limits: RegistryLimits
  readonly #listener: Listener
  readonly #agent: Agent
  readonly #entries = new Map<string, Entry>()
  readonly #watchers = new Set<() => void>()
  /** Tells one run of the registry from the next. */
  readonly #run: string
  #version = 1
  #isWarming = true
  #timer: Timer | undefined
  #closed = false

  constructor(options: RegistryOptions) {
    this.#host = options.host
    this.#logger = options.logger
    this.#trust = options
    this.#limits = { ...defaultRegistryLimits, ...options.limits }
    this.#run = options.host.uuid()
    this.#listener = new Listener(
      this.#limits,
      options.secret,
      options.logger,
      (exchange) => this.#serve(exchange),
      (error) => encodeProblem(error, true),
    )
    this.#agent = new Agent({
      connections: 1,
      connect: { timeout: this.#limits.readyMs },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: ANSWER_BYTES_MAX,
    })
    this.#host.after(this.#limits.warmUpMs, () => {
      this.#isWarming = false
      this.#changed()
    })
    this.#checkLater()
  }

  async listen({ port, host }: { port: number; host: string }): Promise<{ url: string; port: number }> {
    assertGuarded(host, this.#trust, 'the registry')
    return this.#listener.listen(port, host)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#changed()
    await this.#listener.close(1_000)
    await this.#agent.destroy()
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { method, path } = exchange
    if (method === 'GET' && path === '/livez') return exchange.answer(200, '{"live":true}')
    if (method === 'GET' && path === '/readyz') return exchange.answer(200, '{"ready":true,"reasons":[]}')
    const [, system, id] = /^\/systems\/([^/]+)\/instances(?:\/([^/]+))?$/.exec(path) ?? []
    if (system !== undefined && id === undefined && method === 'GET') return this.#list(exchange, system)
    if (system !== undefined && id !== undefined && method === 'PUT') return this.#renew(exchange, system, id)
    if (system !== undefined && id !== undefined && method === 'DELETE') return this.#leave(exchange, system, id)
    throw new AtollError('NOT_FOUND', `there is nothing at ${method} ${path}`)
  }

  async #renew(exchange: Exchange, system: string, id: string): Promise<void> {
    const { url, services, leaseMs } = readRenewal(parse(await exchange.body()))
    const key = keyOf(system, id, url)
    const known = this.#entries.get(key)
    if (!known && this.#entries.size >= this.#limits.instancesMax)
      throw new AtollError('OVERLOADED', `there are ${this.#entries.size} instances (instancesMax)`)
    const expiresMs = this.#host.monotonicMs() + Math.min(leaseMs, this.#limits.leaseMsMax)
    if (known && known.services.join() === services.join()) known.expiresMs = expiresMs
    else {
      const entry: Entry = { id, url, services, system, expiresMs, isReady: undefined, silent: 0 }
      this.#entries.set(key, entry)
      if (!known) this.#logger.info({ system, instance: id, url, services }, 'an instance came')
      void this.#check(entry)
    }
    exchange.answer(200, '{}')
  }

  #leave(exchange: Exchange, system: string, id: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.system === system && entry.id === id && entry.url === exchange.query.get('url'))
        this.#remove(key, entry, 'an instance left')
    }
    exchange.answer(200, '{}')
  }

  /** Answers when there is something that the asker does not know yet, or when its patience is over. */
  async #list(exchange: Exchange, system: string): Promise<void> {
    const { query, gone } = exchange
    const isKnown = (): boolean => query.get('run') === this.#run && query.get('after') === String(this.#version)
    const waitMs = readWaitMs(query.get('waitMs'))
    if (waitMs > 0 && isKnown() && !this.#closed) {
      if (this.#watchers.size >= this.#limits.watchersMax)
        throw new AtollError('OVERLOADED', `${this.#watchers.size} watchers wait (watchersMax)`)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#watchers.delete(done)
          timer.cancel()
          resolve()
        }
        const timer = this.#host.after(waitMs, done)
        this.#watchers.add(done)
        gone.addEventListener('abort', done)
      })
    }
    const instances = [...this.#entries.values()].filter((entry) => entry.system === system && entry.isReady)
    const listed: Listed = {
      run: this.#run,
      version: this.#version,
      isWarming: this.#isWarming,
      instances: instances.map(({ id, url, services }) => ({ id, url, services })),
    }
    exchange.answer(200, JSON.stringify(listed))
  }

  #changed(): void {
    this.#version++
    for (const tell of [...this.#watchers]) tell()
  }

  #remove(key: string, entry: Entry, what: string): void {
    this.#entries.delete(key)
    this.#logger.info({ system: entry.system, instance: entry.id, url: entry.url }, what)
    if (entry.isReady) this.#changed()
  }

  #checkLater(): void {
    this.#timer = this.#host.after(this.#limits.checkMs, () => {
      const now = this.#host.monotonicMs()
      for (const [key, entry] of [...this.#entries]) {
        if (entry.expiresMs <= now) this.#remove(key, entry, 'an instance did not renew its lease')
        else void this.#check(entry)
      }
      if (!this.#closed) this.#checkLater()
    })
  }

  /** One that says it is not ready is left out at once; one that says nothing, the second time. */
  async #check(entry: Entry): Promise<void> {
    const answer = await this.#ask(entry)
    if (this.#entries.get(keyOf(entry.system, entry.id, entry.url)) !== entry) return
    entry.silent = answer === 'silent' ? entry.silent + 1 : 0
    const isReady = answer === 'ready' || (answer === 'silent' && entry.silent < 2 && entry.isReady === true)
    if (isReady === entry.isReady) return
    const wasReady = entry.isReady === true
    entry.isReady = isReady
    if (isReady === wasReady) return
    if (wasReady)
      this.#logger.warn(
        { system: entry.system, instance: entry.id, url: entry.url, why: answer },
        'an instance is not ready',
      )
    this.#changed()
  }

  async #ask({ url, system }: Entry): Promise<'ready' | 'not ready' | 'silent'> {
    const late = new AbortController()
    const timer = this.#host.after(this.#limits.readyMs, () => late.abort())
    try {
      const { statusCode, body } = await request(`${url}/readyz`, { dispatcher: this.#agent, signal: late.signal })
      const said: unknown = await body.json()
      // An address may have come to another process meanwhile.
      return statusCode === 200 && isObject(said) && said['system'] === system ? 'ready' : 'not ready'
    } catch {
      return 'silent'
    } finally {
      timer.cancel()
    }
  }
}

/** An instance that comes back under its name at another address is another one: the old one ends by itself. */
function keyOf(system: string, id: string, url: string): string {
  return `${system} ${id} ${url}`
}

function readRenewal(body: unknown): { url: string; services: readonly string[]; leaseMs: number } {
  const { url, services, leaseMs } = isObject(body) ? body : {}
  if (typeof url !== 'string' || !/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new AtollError('MALFORMED', 'an instance needs a url')
  if (!Array.isArray(services) || !services.every((service) => typeof service === 'string'))
    throw new AtollError('MALFORMED', 'an instance needs its services')
  if (typeof leaseMs !== 'number' || !(leaseMs > 0))
    throw new AtollError('MALFORMED', 'an instance needs the length of its lease')
  return { url, services, leaseMs }
}

/** How long a watcher waits, milliseconds; 0, not at all, if it does not say. */
function readWaitMs(text: string | null): number {
  if (text !== null && !/^\d+$/.test(text))
    throw new AtollError('MALFORMED', 'waitMs is not a number of milliseconds; write it in digits')
  return Math.min(Number(text ?? 0), WAIT_MS_MAX)
}

const WAIT_MS_MAX = 60_000
const ANSWER_BYTES_MAX = 64 * 2 ** 10

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createRegistry } from '@atoll/calls'
import { createNodeHost } from '@atoll/host/node'
import { loadConfig } from '../config/config.ts'
import { loadSystemOf } from '../load.ts'
import { createLogger } from '../logger.ts'
import { toldToStop } from './told-to-stop.ts'

export interface UpOptions {
  config?: string
  port?: string
  instances: string
}

/**
 * `atoll up`: a process for each service, any number of times, and one for the gateway, on this machine, until it is told to stop. They
 * find each other at a registry in this process. One that ends is started again.
 */
export async function up(module: string | undefined, options: UpOptions): Promise<void> {
  const startedMs = performance.now()
  const told = toldToStop()
  const config = loadConfig({ file: options.config })
  const { system, path } = await loadSystemOf(module, config)
  const registry = createRegistry({ host: createNodeHost(), logger: createLogger('warn'), secret: config.values['calls.secret'] })
  const { url } = await registry.listen({ port: 0, host: '127.0.0.1' })
  const shared = { path, config: options.config, registry: url }
  const instances = Array.from({ length: Math.max(1, Number(options.instances) || 1) }, (_, index) => index + 1)
  const services = system.services.flatMap(({ name }) => instances.map((instance) => new Child(`${name}-${instance}`, ['--service', name], shared)))
  const gateway = new Child('gateway', ['--gateway', ...(options.port === undefined ? [] : ['--port', options.port])], shared)
  const children = [...services, gateway]
  for (const child of children) child.start()
  try {
    const ready = Promise.all(children.map((child) => child.ready))
    const first = await Promise.race([told.then(() => undefined), ready])
    if (first) {
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
      console.log(`${system.name} ready in ${seconds} s: ${children.length} processes, gateway at ${first.at(-1)?.gatewayUrl ?? 'nowhere'}. Ctrl-C drains and stops`)
      await told
    }
  } finally {
    console.log('draining …')
    await gateway.stop()
    await Promise.all(services.map((child) => child.stop()))
    await registry.close()
  }
  console.log('stopped; everything that was acknowledged is kept')
}

/** What `atoll start --json` says when it is ready. */
interface ReadyLine {
  readonly gatewayUrl?: string
}

/** One process of the system. Its log goes to ours, line by line, under its name. */
class Child {
  /** When it is ready for the first time. */
  readonly ready: Promise<ReadyLine>
  readonly #name: string
  readonly #args: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  readonly #tellReady: (line: ReadyLine) => void
  #process: ChildProcess | undefined
  #stopping = false
  #restarts = 0
  #timer: NodeJS.Timeout | undefined

  constructor(name: string, args: readonly string[], { path, config, registry }: { path: string; config: string | undefined; registry: string }) {
    this.#name = name
    this.#args = [MAIN, 'start', path, ...args, '--instance', name, '--json', ...(config === undefined ? [] : ['--config', config])]
    this.#env = { ATOLL_LOGGING_LEVEL: 'warn', ...process.env, ATOLL_DISCOVERY_REGISTRY: registry }
    const { promise, resolve } = Promise.withResolvers<ReadyLine>()
    this.ready = promise
    this.#tellReady = resolve
  }

  start(): void {
    // In a group of its own: Ctrl-C is for us, and we tell them in order.
    const child = spawn(process.execPath, this.#args, { stdio: ['ignore', 'pipe', 'pipe'], env: this.#env, detached: true })
    this.#process = child
    createInterface(child.stdout).on('line', (line) => this.#hear(line))
    createInterface(child.stderr).on('line', (line) => console.error(`${this.#name}: ${line}`))
    child.once('close', (code, signal) => this.#ended(code, signal))
  }

  /** Lets it drain, and resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    await ended
  }

  #hear(line: string): void {
    const said = JSON.parse(line) as ReadyLine & { ready?: boolean } // `--json` prints nothing else
    if (!said.ready) return
    this.#restarts = 0
    this.#tellReady(said)
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopping) return
    const delayMs = Math.min(RESTART_MS * 2 ** this.#restarts++, RESTART_MS_MAX)
    console.error(`${this.#name}: ended with ${signal ?? code}; it is started again in ${delayMs} ms`)
    this.#timer = setTimeout(() => this.start(), delayMs)
  }
}

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
/** Before the first restart, and the longest; twice as long each time, until it has been ready again. */
const RESTART_MS = 200
const RESTART_MS_MAX = 10_000

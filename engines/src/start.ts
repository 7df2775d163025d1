import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import { engines } from './engines.ts'
import type { Engine, Place, Program, RunningEngine } from './engine.ts'
import { startProxy, type Proxy } from './proxy.ts'
import { answers } from './run/answers.ts'
import { guard } from './run/guard.ts'
import { assertFree, findPorts, HOST } from './run/ports.ts'
import { halt, isAlive, membersOf, signal } from './run/processes.ts'
import { holdsWithin } from './waiting.ts'
import type { EngineName } from './url.ts'

/** On a busy machine a first start of Kafka or RabbitMQ takes half a minute. */
const READY_MS = 90_000
/** Enough for an orderly end; who takes longer is killed. */
const STOP_MS = 15_000
/** For the system to clear away what was killed. */
const GONE_MS = 10_000
const LOG_LINES = 30
/** What it said since {@link startEngine}. */
const LOG = 'engine.log'

/**
 * Starts an engine from programs of this machine, installing them if need be, and resolves when it is ready. `folder`
 * keeps its data: an engine that is started on the same folder again has them. Without `port` it takes free ones.
 * `proxyPort` is where clients reach it through a proxy ({@link startBehindProxy}). It listens on loopback alone, with
 * the settings that make what it acknowledges durable, and ends when this process does.
 */
export async function startEngine(
  name: EngineName,
  { folder, port, proxyPort }: { folder: string; port?: number; proxyPort?: number },
): Promise<RunningEngine> {
  const engine = engines[name]
  const program = await engine.install()
  if (port !== undefined) await assertFree(name, port, engine.ports)
  return startAt(engine, program, {
    folder: resolve(folder),
    port: port ?? (await findPorts(engine.ports)),
    ...(proxyPort !== undefined && { proxyPort }),
  })
}

/** Starts an engine that is installed at a place that is free, and resolves when it is ready. */
export async function startAt(engine: Engine, program: Program, place: Place): Promise<RunningEngine> {
  mkdirSync(place.folder, { recursive: true })
  await rm(join(place.folder, LOG), { force: true })
  await program.prepare(place)
  const running = new EngineProcess(engine, program, place)
  await running.restart()
  return running
}

/**
 * Starts an engine as {@link startEngine} does, and a proxy before it. `url` leads through the proxy, for clients that
 * go on to other addresses, too.
 */
export async function startBehindProxy(
  name: EngineName,
  { folder }: { folder: string },
): Promise<{ engine: RunningEngine; proxy: Proxy; url: string }> {
  const { ports, portForProxy = 0, url } = engines[name]
  const port = await findPorts(ports)
  const proxy = await startProxy({ target: { host: HOST, port: port + portForProxy } })
  try {
    return { engine: await startEngine(name, { folder, port, proxyPort: proxy.port }), proxy, url: url(proxy.port) }
  } catch (error) {
    await proxy.close()
    throw error
  }
}

class EngineProcess implements RunningEngine {
  readonly name: EngineName
  readonly url: string
  readonly host = HOST
  readonly port: number
  readonly folder: string
  readonly #engine: Engine
  readonly #program: Program
  readonly #place: Place
  readonly #log: string
  #child: ChildProcess | undefined
  #release = (): void => {}
  #isPaused = false

  constructor(engine: Engine, program: Program, place: Place) {
    const { folder, port } = place
    this.name = engine.name
    this.url = engine.url(port)
    this.port = port
    this.folder = folder
    this.#engine = engine
    this.#program = program
    this.#place = place
    this.#log = join(folder, LOG)
  }

  get runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.#spawn()
    try {
      await this.ready()
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  async ready(): Promise<void> {
    const { probe, isSettled = async () => true } = this.#engine
    const isReady = await holdsWithin(
      READY_MS,
      async () => !this.runs || ((await answers(this.host, this.port, probe)) && (await isSettled(this.folder))),
    )
    if (isReady && this.runs) return
    const what = this.runs
      ? `did not answer on ${this.host}:${this.port} within ${READY_MS / 1_000} s`
      : 'ended instead of getting ready'
    throw new AtollError('UNAVAILABLE', `${this.name} ${what}; the end of ${this.#log}:\n${this.#endOfLog()}`)
  }

  async kill(): Promise<void> {
    const leader = this.#child?.pid
    if (leader === undefined) return
    const pids = await halt(leader)
    for (const pid of pids) signal(pid, 'SIGKILL')
    this.#isPaused = false
    if (!(await holdsWithin(GONE_MS, () => !this.runs && !pids.some(isAlive)))) {
      throw new AtollError(
        'UNAVAILABLE',
        `${this.name}: not all of ${pids.join(', ')} ended within ${GONE_MS / 1_000} s of SIGKILL; look what they wait for`,
      )
    }
    this.#child = undefined
    this.#release()
  }

  async pause(): Promise<void> {
    if (!this.runs)
      throw new AtollError('UNAVAILABLE', `${this.name} does not run, so it cannot be paused; restart() it first`)
    await halt(this.#child!.pid!) // it runs, so it was spawned
    this.#isPaused = true
  }

  async resume(): Promise<void> {
    if (!this.#isPaused) return
    this.#isPaused = false
    for (const pid of membersOf(this.#child!.pid!)) signal(pid, 'SIGCONT') // it was paused, so it was spawned
  }

  async stop(): Promise<void> {
    await this.resume()
    const leader = this.#child?.pid
    if (leader === undefined) return
    if (this.runs) signal(leader, this.#engine.stopSignal)
    await holdsWithin(STOP_MS, () => !this.runs)
    // Helpers that outlive their leader, and a leader that took too long.
    await this.kill()
  }

  async #spawn(): Promise<void> {
    const { file, args, env, user } = this.#program.command(this.#place)
    const log = openSync(this.#log, 'a')
    try {
      // A session of its own, so that all of it can be signalled, and a Ctrl-C at our terminal does not reach it.
      const child = spawn(file, args, {
        cwd: this.folder,
        env: { ...process.env, ...env },
        detached: true,
        stdio: ['ignore', log, log],
        ...user,
      })
      await once(child, 'spawn')
      this.#child = child
      this.#release = guard(child.pid!) // it was spawned
      child.unref()
    } finally {
      closeSync(log)
    }
  }

  #endOfLog(): string {
    return readFileSync(this.#log, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-LOG_LINES)
      .map((line) => `  ${line}`)
      .join('\n')
  }
}

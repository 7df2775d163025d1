import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log, LogRecord } from '@atoll/log/driver'
import { startSystem, type Calls, type RunningSystem, type RuntimeOptions } from 'atoll/runtime'
import type { System } from 'atoll'
import type { Actor } from './actor.ts'
import { logOf } from './log.ts'
import { suffer, type Mishap, type Passenger, type Point } from './passage.ts'
import { watched, type Sightings } from './sightings.ts'
import { storesOf, type SharedStores } from './stores.ts'

/** What an instance runs on, and where it tells what it does. */
export interface InstanceGround {
  readonly surroundings: Host
  readonly stores: SharedStores
  readonly log: Log
  readonly logger: Logger
  readonly calls: Calls
  readonly runtime: Partial<RuntimeOptions>
  readonly sightings: Sightings
  /** What has ended by what runs in it. */
  readonly ended: Ended[]
  note(text: string): void
  /** An instance is gone, and is to be started anew after so long; undefined: as soon as its supervisor does. */
  supervise(instance: Instance, restartMs: number | undefined): void
  passes(instance: Instance, point: Point, subject: string | undefined): Mishap | undefined
}

/**
 * An instance that ended by what runs in it: a handler that called `process.exit`, or left an error that nobody
 * catches.
 */
export interface Ended {
  readonly instance: string
  readonly how: string
  readonly error: unknown
}

/** One instance of a service: what would be a process of its own. */
export class Instance implements Passenger {
  readonly service: string
  readonly actor: Actor
  readonly surroundings: Host
  running: RunningSystem | undefined
  readonly #ground: InstanceGround
  #isStopping = false

  constructor(service: string, actor: Actor, ground: InstanceGround) {
    this.service = service
    this.actor = actor
    this.surroundings = ground.surroundings
    this.#ground = ground
    actor.end = (how, error) => this.#end(how, error)
  }

  /** Whether it takes requests. */
  get isUp(): boolean {
    return this.running !== undefined && !this.actor.isDead && !this.#isStopping
  }

  /**
   * Starts it, and does so again if its store or the log would not let it, as whatever supervises a process does.
   * Resolves as well if it dies.
   */
  async start(system: System): Promise<void> {
    const died = new Promise<void>((resolve) => this.actor.onDeath.add(resolve))
    await Promise.race([died, this.#start(system)])
  }

  async #start(system: System): Promise<void> {
    const { log, logger, calls, runtime, stores, sightings, note } = this.#ground
    const onAppend = (source: string, records: readonly LogRecord[]): void => {
      for (const { partition, number, type, id } of records)
        note(`append ${source} ${partition}/${number} ${type} ${id}`)
    }
    const ports = {
      host: this.actor.host,
      stores: storesOf(this, stores, (handling) => sightings.committed(handling)),
      log: logOf(this, log, onAppend),
      logger,
      calls: callsOf(this, calls),
    }
    for (;;) {
      try {
        const options = { ...runtime, services: [this.service], instance: this.actor.name }
        this.running = await this.actor.receive(startSystem(watched(system, this, sightings), ports, options))
        note(`up ${this.actor.name}`)
        return
      } catch (error) {
        if (!AtollError.from(error).retryable) throw error
        note(`not up ${this.actor.name}`)
        await new Promise<void>((resolve) => this.actor.host.after(RESTART_MS, resolve))
      }
    }
  }

  /** Drains and ends. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const died = new Promise<void>((resolve) => this.actor.onDeath.add(resolve))
    // what it could not do is there for the next one
    const stopped = this.running?.stop().catch(() => this.#ground.note(`not drained ${this.actor.name}`))
    await Promise.race([died, stopped])
    this.actor.die()
  }

  crash(restartMs?: number): void {
    if (this.actor.isDead) return
    this.#ground.note(`crash ${this.actor.name}`)
    this.actor.die()
    if (restartMs !== undefined) this.#ground.supervise(this, restartMs)
  }

  /** It ends by what runs in it: for whoever looks at it from outside, as if it had crashed. */
  #end(how: string, error: unknown): void {
    if (this.actor.isDead) return
    this.#ground.logger.error({ instance: this.actor.name, error }, `${this.actor.name} has ended: ${how}`)
    this.#ground.ended.push({ instance: this.actor.name, how, error })
    this.crash()
    this.#ground.supervise(this, undefined)
  }

  passes(point: Point, subject?: string): Mishap | undefined {
    return this.actor.isDead ? undefined : this.#ground.passes(this, point, subject)
  }
}

/** The network as one instance sees it: through its own failures. */
function callsOf(passenger: Passenger, calls: Calls): Calls {
  return {
    dispatch(operation, request) {
      // a handler that has ended its process, and goes on all the same
      if (passenger.actor.isDead) return new Promise(() => {})
      const mishap = passenger.passes('call')
      const call = (): ReturnType<Calls['dispatch']> => calls.dispatch(operation, request)
      return passenger.actor.receive(mishap ? suffer(passenger, mishap, call) : call())
    },
  }
}

/** Between two tries to start. */
const RESTART_MS = 500

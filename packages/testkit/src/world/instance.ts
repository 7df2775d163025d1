import { AtollError, type Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import { startSystem, type Calls, type RunningSystem, type RuntimeOptions } from 'atoll/runtime'
import type { System } from 'atoll'
import type { Actor } from './actor.ts'
import { logOf } from './log.ts'
import type { Mishap, Passenger, Point } from './passage.ts'
import { watched, type Sightings } from './sightings.ts'
import { storesOf, type SharedStores } from './stores.ts'
import type { Host } from '@atoll/host'

/** What an instance runs on, and where it tells what it does. */
export interface InstanceGround {
  readonly surroundings: Host
  readonly stores: SharedStores
  readonly log: Log
  readonly logger: Logger
  readonly calls: Calls
  readonly runtime: Partial<RuntimeOptions>
  readonly sightings: Sightings
  note(text: string): void
  passes(instance: Instance, point: Point): Mishap | undefined
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
  }

  /** Whether it takes requests. */
  get isUp(): boolean {
    return this.running !== undefined && !this.actor.isDead && !this.#isStopping
  }

  /** Starts it, and does so again if its store or the log would not let it, as whatever supervises a process does. Resolves as well if it dies. */
  async start(system: System): Promise<void> {
    const died = new Promise<void>((resolve) => this.actor.onDeath.add(resolve))
    await Promise.race([died, this.#start(system)])
  }

  async #start(system: System): Promise<void> {
    const { log, logger, calls, runtime, stores, sightings, note } = this.#ground
    const ports = { host: this.actor.host, stores: storesOf(this, stores), log: logOf(this, log, note), logger, calls }
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
    await this.actor.receive(this.running?.stop() ?? Promise.resolve())
    this.actor.die()
  }

  crash(): void {
    if (this.actor.isDead) return
    this.#ground.note(`crash ${this.actor.name}`)
    this.actor.die()
  }

  passes(point: Point): Mishap | undefined {
    return this.actor.isDead ? undefined : this.#ground.passes(this, point)
  }
}

/** Between two tries to start. */
const RESTART_MS = 500

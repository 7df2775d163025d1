import { AtollError, type Host } from '@atoll/host'
import type { System } from 'atoll'
import type { Calls, Dispatch, Dispatched } from 'atoll/runtime'
import type { Random } from '../random.ts'
import type { Instance } from './instance.ts'
import { handlingNow } from './sightings.ts'

/**
 * The instances of every service, and the network between them: a request goes to one that is up, drawn by the seed,
 * and is lost with it.
 */
export class Fleet implements Calls {
  system: System
  /** Of every request that was sent to a service: what events may have been caused by. */
  readonly requestIds = new Set<string>()
  readonly #instances = new Map<string, Instance[]>()
  readonly #random: Random
  readonly #surroundings: Host

  constructor(system: System, random: Random, surroundings: Host) {
    this.system = system
    this.#random = random
    this.#surroundings = surroundings
  }

  /** Those of a service that are not dead. DEFINITION_INVALID if there is no such service. */
  of(service: string): readonly Instance[] {
    if (!this.system.services.some(({ name }) => name === service)) {
      throw new AtollError(
        'DEFINITION_INVALID',
        `system ${this.system.name} has no service ${service}; it has ${this.system.services.map(({ name }) => name).join(', ')}`,
      )
    }
    const alive = (this.#instances.get(service) ?? []).filter(({ actor }) => !actor.isDead)
    this.#instances.set(service, alive)
    return alive
  }

  add(instance: Instance): void {
    this.#instances.set(instance.service, [...this.of(instance.service), instance])
  }

  get all(): readonly Instance[] {
    return this.system.services.flatMap(({ name }) => this.of(name))
  }

  isUp(service: string): boolean {
    return this.of(service).some((instance) => instance.isUp)
  }

  dispatch(operation: string, request: Dispatch): Promise<Dispatched> {
    const entry = this.system.operations.get(operation)
    if (!entry)
      return Promise.reject(new AtollError('NOT_FOUND', `system ${this.system.name} has no operation ${operation}`))
    const service = entry.service.name
    const requestId = request.requestId ?? this.#surroundings.uuid()
    this.requestIds.add(requestId)
    const up = this.of(service).filter((instance) => instance.isUp)
    if (up.length === 0)
      return Promise.reject(
        new AtollError('UNAVAILABLE', `${operation} cannot be reached: no instance of ${service} is up`),
      )
    const instance = up.length === 1 ? up[0]! : this.#random.pick(up)
    return this.#send(instance, operation, { ...request, requestId })
  }

  #send({ actor, running }: Instance, operation: string, request: Dispatch): Promise<Dispatched> {
    const { monotonicMs, after } = this.#surroundings
    return new Promise<Dispatched>((resolve, reject) => {
      const done = (): void => {
        actor.onDeath.delete(lost)
        timer.cancel()
      }
      const lost = (): void => {
        done()
        reject(
          new AtollError(
            'UNAVAILABLE',
            `${operation} was not answered: ${actor.name} is gone. Whether it had an effect is not known`,
            { details: { effect: 'unknown' } },
          ),
        )
      }
      const late = (): void => {
        done()
        reject(
          new AtollError(
            'DEADLINE_EXCEEDED',
            `${operation} was not answered in time by ${actor.name}. Whether it had an effect is not known`,
            { details: { effect: 'unknown' } },
          ),
        )
      }
      const timer = after((request.deadlineMs ?? monotonicMs() + ANSWER_MS) - monotonicMs() + GRACE_MS, late)
      actor.onDeath.add(lost)
      actor.whenAwake(() => {
        // What it does for a handler of another service is not that handler's effect.
        const dispatch = (): Promise<Dispatched> => actor.within(() => running!.dispatch(operation, request))
        actor.receive(handlingNow.run(undefined, dispatch)).then(resolve, reject).finally(done)
      })
    })
  }
}

/** How long one waits for an instance that does not move. */
const ANSWER_MS = 10_000
/** An instance that can still say that the time is over should be the one to say so. */
const GRACE_MS = 1

import { AtollError } from '@atoll/host'
import { copyOf, lookAtSent } from '../../contract/json-value.ts'
import type { BoundOperation } from '../../contract/operation.ts'
import type { System } from '../../system.ts'
import type { Asker } from './admission.ts'
import { runAttributed } from '../handling/attribution.ts'
import type { Emission } from '../relay/emission.ts'
import { unsendable } from './input.ts'
import type { Operations, Ran } from './operations.ts'
import type { RuntimeOptions } from '../options.ts'
import { mergePositions } from '../position.ts'
import { questionOf, type Question } from './questions.ts'
import type { Dispatch, Dispatched, Ports } from '../running.ts'

/** A service that runs in this process, as others ask it. */
export interface ServiceHere {
  readonly operations: Operations
  readonly emission: Emission
}

/** Brings each request to the service that has its operation: here, or in another process. */
export class Dispatcher {
  readonly #system: System
  readonly #ports: Ports
  readonly #options: RuntimeOptions
  readonly #here: ReadonlyMap<string, ServiceHere>

  constructor(system: System, ports: Ports, options: RuntimeOptions, here: ReadonlyMap<string, ServiceHere>) {
    this.#system = system
    this.#ports = ports
    this.#options = options
    this.#here = here
  }

  /** Rejects with AtollError alone. */
  async dispatch(name: string, request: Dispatch, asker: Asker): Promise<Dispatched> {
    const entry = this.#system.operations.get(name)
    if (!entry) throw new AtollError('NOT_FOUND', `system ${this.#system.name} has no operation ${name}`)
    try {
      const { operation, service } = entry
      request = toSent(operation, request, asker)
      const here = this.#here.get(service.name)
      if (!here) return await this.#dispatchElsewhere(service.name, name, request)
      const question = questionOf(name)
      if (question !== undefined) return await answerOf(question, here)
      const answer = await here.operations.run(operation, request, asker)
      return request.show && operation.show ? await this.#show(operation, operation.show, answer, request) : answer
    } catch (error) {
      throw AtollError.from(error)
    }
  }

  /** Asks a service that runs elsewhere, for `causalWaitMs`. */
  ask(service: string, question: Question): Promise<Dispatched> {
    return this.#dispatchElsewhere(service, `${service}.${question}`, {
      input: {},
      deadlineMs: this.#ports.host.monotonicMs() + this.#options.causalWaitMs,
    })
  }

  async #dispatchElsewhere(service: string, operation: string, request: Dispatch): Promise<Dispatched> {
    const { calls } = this.#ports
    if (calls) return calls.dispatch(operation, request)
    throw new AtollError(
      'UNAVAILABLE',
      `${operation} cannot be reached: service ${service} does not run here, and there is no port for calls to services elsewhere`,
    )
  }

  /** The command has succeeded: whatever keeps its query from answering, the client gets the command's own output. */
  async #show(
    operation: BoundOperation,
    show: NonNullable<BoundOperation['show']>,
    answer: Ran,
    request: Dispatch,
  ): Promise<Dispatched> {
    const { attribution, logger } = this.#ports
    try {
      const position = mergePositions(request.position ?? {}, answer.position)
      const input = runAttributed(attribution, logger, { handling: operation.name, requestId: request.requestId }, () =>
        show.input(answer.output, answer.input),
      )
      const shown = await this.dispatch(
        show.query().name,
        {
          ...request,
          input,
          position,
          show: false,
          idempotencyKey: undefined,
          ifMatch: undefined,
          ifNoneMatch: undefined,
        },
        'outside',
      )
      return {
        ...shown,
        outcome: 'shown',
        position: answer.position,
        missed: answer.missed || shown.missed,
        replayed: answer.replayed,
      }
    } catch (error) {
      logger.warn(
        { requestId: request.requestId, error },
        'a command succeeded, and the query that shows its result did not',
      )
      return { ...answer, outcome: 'accepted' }
    }
  }
}

async function answerOf(question: Question, { emission }: ServiceHere): Promise<Dispatched> {
  switch (question) {
    case '@standing':
      return { output: undefined, outcome: 'done', position: { [emission.emitter.name]: await emission.atMost() } }
    case '@emitted':
      return { output: await emission.count(), outcome: 'done', position: {} }
  }
}

/**
 * A request as it arrives in any process of the system. What a handler calls with is copied, as it would be on its way
 * to another process: the two share nothing. So is what a schema or a handler could change, for it may be sent again:
 * with another version under If-Match. INVALID for input that JSON does not carry as it is.
 */
function toSent(operation: BoundOperation, request: Dispatch, asker: Asker): Dispatch {
  const { input } = request
  if (input === undefined) return request
  const { flaw, hasMinusZero } = lookAtSent(input, asker === 'outside', request.isFromClient === true)
  if (flaw) throw unsendable(operation, input, flaw)
  return asker === 'handler' || hasMinusZero || !operation.remakesInput ? { ...request, input: copyOf(input) } : request
}

import { AtollError } from '@atoll/host'
import type { Queries } from '@atoll/store/driver'
import type { z } from 'zod'
import type { BoundOperation } from '../contract/operation.ts'
import type { FieldMessages } from '../refusals.ts'
import { AlreadyAnswered, AnswerSlot } from './answers.ts'
import type { Seen } from './causal.ts'
import { withDeadline } from './deadline.ts'
import { Handling, type HandlingGround } from './handling.ts'
import type { RuntimeOptions } from './options.ts'
import { emptyPosition, mergePositions, type Position } from './position.ts'
import type { Dispatch, Dispatched } from './running.ts'

/** What running an operation needs of its service, besides what every handling needs. */
export interface OperationGround extends HandlingGround {
  readonly options: RuntimeOptions
  handler(operation: BoundOperation): (context: unknown) => unknown
  /** How far the service's own commits have got. */
  standing(queries: Queries): Promise<Position>
  /** Resolves when the service has caught up with what its caller has seen; with true if it has not with what that one may have seen. Rejects with BEHIND. */
  caughtUp(seen: Seen, name: string, deadlineMs: number): Promise<boolean> | undefined
}

/** An answer, with the input as its schema gave it. */
export interface Ran extends Dispatched {
  readonly input: unknown
}

/** Runs one operation: checks who and what, waits until the caller's past is here, runs the handler, checks the answer. */
export function runOperation(ground: OperationGround, operation: BoundOperation, request: Dispatch): Promise<Ran> {
  const { host, options } = ground
  if (operation.auth === 'user' && !request.caller) {
    return Promise.reject(new AtollError('UNAUTHENTICATED', `${operation.name} needs a caller; log in and send the token`))
  }
  const parsed = operation.input.safeParse(request.input)
  if (!parsed.success) return Promise.reject(invalidInput(operation, parsed.error))

  const deadlineMs = request.deadlineMs ?? host.monotonicMs() + options.deadlineMs
  const requestId = request.requestId ?? host.uuid()
  const slot =
    request.idempotencyKey !== undefined && operation.kind === 'command'
      ? new AnswerSlot(host, operation.name, request.caller?.id, request.idempotencyKey, parsed.data)
      : undefined
  const answer = new Answer(operation)
  const handling = new Handling(ground, {
    name: operation.name,
    requestId,
    parentTrace: request.trace,
    cause: requestId,
    deadlineMs,
    caller: operation.auth === 'none' ? undefined : request.caller,
    position: request.position ?? emptyPosition,
    maybeSeen: request.maybeSeen,
    signal: request.signal,
    frame: {
      guard: slot && ((tx) => slot.check(tx)),
      check: (result) => answer.checkInTx(result),
      // It may say what an earlier one has done (it is there already), and who hears that must find it elsewhere too.
      ...(operation.kind === 'command' && { restsOn: (queries) => ground.standing(queries) }),
      record: slot && ((tx, result, position) => slot.record(tx, result, mergePositions(handling.position, position))),
    },
  })
  handling.input = parsed.data
  handling.ifMatch = request.ifMatch

  return withDeadline(
    host,
    { deadlineMs, signal: request.signal, name: operation.name },
    async () => {
      if (operation.consistency === 'causal') {
        const wait = ground.caughtUp(request, operation.name, deadlineMs)
        if (wait) handling.missed = await wait
      }
      const recorded = slot && (await slot.find(ground.reader()))
      if (recorded) return replay(operation, parsed.data, recorded)
      try {
        const output = await run(ground, operation, handling, answer, slot)
        return { input: parsed.data, output, outcome: 'done', position: handling.position, etag: etagOf(operation, output), missed: handling.missed } as const
      } catch (error) {
        if (error instanceof AlreadyAnswered) return replay(operation, parsed.data, error.answer)
        throw error
      }
    },
    (reason) => handling.abort(reason),
  )
}

async function run(ground: OperationGround, operation: BoundOperation, handling: Handling, answer: Answer, slot: AnswerSlot | undefined): Promise<unknown> {
  const returned = await ground.handler(operation)(handling)
  await handling.settled()
  handling.assertExecuted(returned)
  if (!handling.committed) {
    // A command that changed nothing has no transaction to be recorded in, so its answer gets one.
    const output = answer.check(returned)
    if (slot) await handling.tx(() => returned)
    else if (operation.kind === 'command') handling.restOn(await ground.standing(ground.reader()).catch(() => emptyPosition)) // it is done, whatever else cannot be said
    return output
  }
  if (answer.isEmpty) return undefined
  if (returned !== handling.result) {
    throw new AtollError(
      'ANSWER_OUTSIDE_TX',
      `${operation.name} answered something other than what its transaction returned. The answer is checked and recorded with the commit, so make it inside tx: return tx(async ({ db }) => …)`,
    )
  }
  return returned
}

/** Holds answers against the operation's output schema. */
class Answer {
  readonly #operation: BoundOperation
  /** The operation answers nothing; what its transaction returns is nobody's concern. */
  readonly isEmpty: boolean

  constructor(operation: BoundOperation) {
    this.#operation = operation
    this.isEmpty = answersNothing(operation)
  }

  /** The same for what a transaction returned, before it commits. */
  checkInTx(result: unknown): unknown {
    if (result === undefined && !this.isEmpty && !this.#operation.output.safeParse(undefined).success) {
      throw new AtollError(
        'ANSWER_OUTSIDE_TX',
        `${this.#operation.name} returned nothing from its transaction. The answer is checked and recorded with the commit, so make it inside tx: return tx(async ({ db }) => { …; return answer })`,
      )
    }
    return this.check(result)
  }

  check(result: unknown): unknown {
    if (this.isEmpty) return undefined
    const parsed = this.#operation.output.safeParse(result)
    if (parsed.success) return parsed.data
    throw new AtollError('ANSWER_INVALID', `${this.#operation.name} answered something that does not fit its output schema: ${parsed.error.message}`, { cause: parsed.error })
  }
}

function answersNothing(operation: BoundOperation): boolean {
  const { type } = operation.output.def
  return type === 'void' || type === 'undefined'
}

function replay(operation: BoundOperation, input: unknown, answer: { output: unknown; position: NonNullable<Dispatch['position']> }): Ran {
  return { input, output: answer.output, outcome: 'done', position: answer.position, etag: etagOf(operation, answer.output), replayed: true }
}

function etagOf(operation: BoundOperation, output: unknown): string | undefined {
  return operation.etag && output !== undefined ? String(operation.etag(output)) : undefined
}

function invalidInput(operation: BoundOperation, error: z.ZodError): AtollError {
  const fields: Record<string, string[]> = {}
  for (const issue of error.issues) (fields[issue.path.map(String).join('.')] ??= []).push(issue.message)
  const message = Object.entries(fields).map(([field, messages]) => `${field || 'input'}: ${messages.join(', ')}`).join('; ')
  return new AtollError('INVALID', `${operation.name}: ${message}`, { details: { fields: fields satisfies FieldMessages } })
}

import { AtollError } from '@atoll/host'
import { toCanonicalJson } from '../../contract/json-value.ts'
import type { BoundOperation } from '../../contract/operation.ts'
import type { Service } from '../../service/service.ts'
import type { Admission, Asker } from './admission.ts'
import { Answer } from './answer.ts'
import { AnswerSlot, type RecordedAnswer } from './answers.ts'
import type { CausalReads } from './causal-reads.ts'
import { withDeadline } from '../deadline.ts'
import type { createFaultLogger } from '../faults.ts'
import { Handling, type HandlingParts } from '../handling/handling.ts'
import { parseInput } from './input.ts'
import { emptyPosition, mergePositions } from '../position.ts'
import type { Dispatch, Dispatched } from '../running.ts'

/** What the operations of a service work with. */
export interface OperationParts extends HandlingParts {
  readonly handlers: Service['handlers']
  readonly admission: Admission
  readonly causalReads: CausalReads
  /** For what may go wrong as often as somebody asks. */
  readonly faults: ReturnType<typeof createFaultLogger>
}

/** An answer, with the input as its schema gave it. */
export interface Ran extends Dispatched {
  readonly input: unknown
}

/** The operations of one service: the way of a command from its request to its commit, and of a query to its answer. */
export class Operations {
  readonly #parts: OperationParts

  constructor(parts: OperationParts) {
    this.#parts = parts
  }

  /** Runs an operation, asked for from outside or by a handler. */
  async run(operation: BoundOperation, request: Dispatch, asker: Asker): Promise<Ran> {
    const { admission, emission } = this.#parts
    admission.enter(operation, asker)
    try {
      if (operation.kind === 'command') emission.assertMayEmit(operation)
      return await runOperation(this.#parts, operation, request)
    } finally {
      admission.leave(operation, asker)
    }
  }
}

/**
 * Runs one operation: checks who and what, waits until the caller's past is here, runs the handler, checks the answer.
 */
function runOperation(parts: OperationParts, operation: BoundOperation, request: Dispatch): Promise<Ran> {
  const { host, options, emission } = parts
  if (operation.auth === 'user' && !request.caller) {
    return Promise.reject(
      new AtollError('UNAUTHENTICATED', `${operation.name} needs a caller; log in and send the token`),
    )
  }
  const requestId = request.requestId ?? host.uuid()
  const { idempotencyKey } = request
  // its schema may write into it
  const sentJson = idempotencyKey !== undefined && operation.keepsAnswers ? toCanonicalJson(request.input) : undefined
  const input = parseInput(parts, operation, request.input, requestId)
  const deadlineMs = request.deadlineMs ?? host.monotonicMs() + options.deadlineMs
  const slot =
    idempotencyKey !== undefined && sentJson !== undefined
      ? new AnswerSlot(host, operation.name, request.caller?.id, idempotencyKey, { sentJson, parsed: input })
      : undefined
  const answer = new Answer(operation, request.answerBytesMax)
  const handling = new Handling(parts, {
    name: operation.name,
    requestId,
    parentTrace: request.trace,
    cause: requestId,
    idSeed: slot?.idSeed(options.answersKeptMs),
    deadlineMs,
    caller: operation.auth === 'none' ? undefined : request.caller,
    isFromClient: request.isFromClient,
    position: request.position ?? emptyPosition,
    maybeSeen: request.maybeSeen,
    signal: request.signal,
    ifMatch: request.ifMatch,
    ifNoneMatch: request.ifNoneMatch,
    frame: {
      guard: slot && ((tx) => slot.check(tx)),
      check(result) {
        handling.assertJudged()
        return answer.checkInTx(result)
      },
      // It may say what an earlier one has done (it is there already), and who hears that must find it elsewhere too.
      restsOn: operation.kind === 'command' ? (queries) => emission.standing(queries) : undefined,
      record:
        slot &&
        ((tx, _, position) =>
          slot.record(tx, { ...answer.given, position: mergePositions(handling.position, position) })),
    },
  })
  handling.input = input
  const answered = (): Ran => ({
    input,
    ...answer.given,
    outcome: 'done',
    position: handling.position,
    missed: handling.missed,
  })

  return withDeadline(
    host,
    { deadlineMs, signal: request.signal, name: operation.name },
    async () => {
      if (operation.consistency === 'causal') {
        const wait = parts.causalReads.catchUp(request, operation.name, deadlineMs)
        if (wait) handling.missed = await wait
      }
      const recorded = slot && (await slot.find(parts.generations.reader))
      if (recorded) return replay(input, recorded)
      try {
        await run(parts, operation, handling, answer, slot)
        return answered()
      } catch (error) {
        if (slot?.found) return replay(input, slot.found) // whatever its handler made of that
        throw handling.committed ? error : handling.failureOf(error)
      }
    },
    (reason) => {
      handling.abort(reason)
      if (handling.committed) {
        reportAfterCommit(parts, handling, operation, reason)
        return answered()
      }
      if (handling.isUnderWay) throw unsure(reason)
      return undefined
    },
  )
}

/**
 * Runs the handler. Once its transaction has committed, a command is answered with what that returned: nothing that
 * comes after it can take back what is done, so nothing that goes wrong there may say that it failed.
 */
async function run(
  parts: OperationParts,
  operation: BoundOperation,
  handling: Handling,
  answer: Answer,
  slot: AnswerSlot | undefined,
): Promise<void> {
  let returned: unknown
  try {
    try {
      returned = await handling.within(() => handlerOf(parts, operation)(handling))
    } finally {
      handling.end()
    }
    if (handling.isUnderWay) await handling.settled()
    handling.assertExecuted(returned)
  } catch (error) {
    await handling.settled().catch(() => undefined) // one that it did not await may yet commit
    if (!handling.committed) throw error
    return reportAfterCommit(parts, handling, operation, AtollError.from(error))
  }
  if (handling.committed) {
    const { refusal } = handling
    if (refusal) reportAfterCommit(parts, handling, operation, refusal)
    else if (!answer.isEmpty && returned !== handling.result)
      reportAfterCommit(parts, handling, operation, outsideTx(operation))
    return
  }
  // A command that changed nothing has no transaction to be recorded in, so its answer gets one.
  if (slot) return void (await handling.conclude(returned))
  handling.assertJudged()
  handling.decide()
  handling.within(() => answer.check(returned))
  if (operation.kind === 'command')
    // it is done, whatever else cannot be said
    handling.restOn(await parts.emission.standing(parts.generations.reader).catch(() => emptyPosition))
}

function reportAfterCommit(
  { logger }: OperationParts,
  handling: Handling,
  operation: BoundOperation,
  error: AtollError,
): void {
  const fields = { operation: operation.name, requestId: handling.cause, error }
  logger.error(
    fields,
    `the handler of ${operation.name} failed after its transaction had committed: it was answered with what the transaction returned, and what was to come after that was not done`,
  )
}

function handlerOf({ handlers, emission }: OperationParts, operation: BoundOperation): (context: unknown) => unknown {
  // `service` checked that there is one for each operation, and its type that it takes this context.
  return handlers[operation.name.slice(emission.emitter.name.length + 1)] as (context: unknown) => unknown
}

function outsideTx({ name }: BoundOperation): AtollError {
  return new AtollError(
    'ANSWER_OUTSIDE_TX',
    `${name} returned something other than what its transaction returned. The answer is checked and recorded with the commit, so make it inside tx: return tx(async ({ db }) => …)`,
  )
}

/** Its time ran out in the midst of its transaction, of which nobody knows yet what becomes. */
function unsure(reason: AtollError): AtollError {
  return new AtollError(reason.code, `${reason.reason}. Whether it had an effect is not known`, {
    cause: reason,
    details: { effect: 'unknown' },
  })
}

function replay(input: unknown, answer: RecordedAnswer): Ran {
  return { input, ...answer, outcome: 'done', replayed: true }
}

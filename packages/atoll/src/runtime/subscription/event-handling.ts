import { AtollError } from '@atoll/host'
import type { Subscriber } from '../../service/subscriber.ts'
import { withDeadline } from '../deadline.ts'
import { openEnvelope, type Envelope } from '../handling/envelope.ts'
import { Handling, type EventView, type HandlingParts } from '../handling/handling.ts'
import { emptyPosition } from '../position.ts'
import { StoreFailure } from './ground.ts'
import type { TransactionFrame } from '../handling/transact.ts'

/**
 * Runs an `on` handler once, with `frame` around its transaction; if it opens none, in one of its own that only
 * settles. Rejects with what the handler threw, or with a {@link StoreFailure}. Whether it resolves or rejects is what
 * became of the event's effect.
 */
export async function handleEvent(
  parts: HandlingParts,
  subscriber: Subscriber,
  envelope: Envelope,
  frame: TransactionFrame,
  isDry: boolean,
): Promise<void> {
  const { host, options } = parts
  const name = `${parts.emission.emitter.name} on ${envelope.type}`
  const deadlineMs = host.monotonicMs() + options.handlingMs
  const handling = new Handling(parts, {
    name,
    requestId: envelope.id,
    parentTrace: envelope.trace,
    cause: envelope.id,
    idSeed: { text: `${parts.emission.emitter.name} ${envelope.id}`, at: envelope.at },
    deadlineMs,
    caller: undefined,
    position: emptyPosition,
    signal: undefined,
    frame,
    dry: isDry,
  })
  handling.event = handling.within(() => openEnvelope(envelope, subscriber.event))
  try {
    await withDeadline(
      host,
      { deadlineMs, signal: undefined, name },
      async () => {
        try {
          let returned: unknown
          try {
            // the class has every member of the view; `event` is set
            returned = await handling.within(() => subscriber.run(handling as unknown as EventView))
          } finally {
            handling.end()
          }
          if (handling.isUnderWay) await handling.settled()
          if (!handling.committed) handling.decide()
          if (handling.refusal && handling.committed) reportAfterCommit(parts, envelope, handling.refusal)
          handling.assertExecuted(returned)
        } catch (thrown) {
          const error = AtollError.from(thrown) // before anybody looks at it: it may be anything
          if (!handling.committed) throw error
          reportAfterCommit(parts, envelope, error) // here, since nobody may wait for the handler any more
        }
        if (!handling.committed && !handling.storeFailed) await handling.conclude() // it is handled all the same
      },
      (reason) => void handling.abort(reason),
    )
  } catch (error) {
    // Its time may have run out in the midst of the commit, and then only the commit says what became of the event.
    await handling.settled().catch(() => undefined)
    if (!handling.committed)
      throw handling.storeFailed
        ? new StoreFailure(error, handling.failedWork.storeFailure !== undefined)
        : handling.failureOf(error)
    reportAfterCommit(parts, envelope, error) // it came in time to commit, and not to end
  }
  if (handling.storeFailed)
    throw new StoreFailure(
      new AtollError('UNAVAILABLE', `${name}: its transaction could not commit`, {
        cause: handling.failedWork.storeFailure,
      }),
      handling.failedWork.storeFailure !== undefined,
    )
}

/** What goes wrong then changes nothing for the event: it is only told. */
function reportAfterCommit(
  { logger, emission }: HandlingParts,
  { id, type, key, trace }: Envelope,
  error: unknown,
): void {
  const { name } = emission.emitter
  const fields = { subscription: name, event: id, type, key, trace, error }
  logger.error(
    fields,
    `a handler of ${type} in ${name} failed after its transaction had committed: the event is handled, and what was to come after that is not tried again`,
  )
}

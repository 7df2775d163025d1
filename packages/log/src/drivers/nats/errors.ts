import { AtollError } from '@atoll/host'
import type { ApiError } from '@nats-io/jetstream'

/** What the server said in place of an answer. */
export class Refused extends Error {
  readonly code: number

  constructor({ err_code, description }: Pick<ApiError, 'err_code' | 'description'>) {
    super(description)
    this.code = err_code
  }
}

/** There was no answer in time. Whether what was asked was done, nobody knows. */
export class Unanswered extends AtollError {
  constructor(subject: string, callMs: number) {
    super('UNAVAILABLE', `NATS did not answer '${subject}' within callMs (${callMs} ms)`)
  }
}

/** Nobody listens to a subject: there is no such stream, it has no leader at the moment, or JetStream is off. */
export class NobodyAnswers extends Error {
  readonly subject: string

  constructor(subject: string) {
    super(`nobody answers '${subject}'`)
    this.subject = subject
  }
}

/** What the server says when it, or the account, has no room. */
const isFull: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047])
/** Writing failed; why, the server says in words. */
const storeFailed = 10077

/** What befell a call, in the words of the port. */
export function toAtollError(thrown: unknown, attempt: string): AtollError {
  if (thrown instanceof AtollError) return thrown
  const cause = thrown
  if (thrown instanceof NobodyAnswers) {
    const why = thrown.subject.startsWith('$JS.API.STREAM')
      ? 'JetStream is not enabled on the server, or not for this account'
      : 'its stream has no leader at the moment'
    return new AtollError('UNAVAILABLE', `${attempt} failed: ${why}`, { cause })
  }
  if (thrown instanceof Refused) {
    return isFull.has(thrown.code) || (thrown.code === storeFailed && /maximum|no space/.test(thrown.message))
      ? new AtollError(
          'STORE_FULL',
          `${attempt} failed, because NATS has no room for it (${thrown.message}); make room, or raise the limit`,
          { cause },
        )
      : new AtollError('UNAVAILABLE', `${attempt} failed: NATS says '${thrown.message}' (${thrown.code})`, { cause })
  }
  return new AtollError('INTERNAL', `${attempt} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
    cause,
  })
}

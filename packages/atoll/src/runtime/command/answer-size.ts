import { AtollError } from '@atoll/host'
import type { BoundOperation } from '../../contract/operation.ts'

/**
 * Throws ANSWER_TOO_LARGE for an answer that whoever asked would not take. `effect`: what a command has had by then. A
 * character is at most three bytes, so most answers need not be measured.
 */
export function assertAnswerSize(
  { name, kind }: Pick<BoundOperation, 'name' | 'kind'>,
  json: string,
  bytesMax: number,
  effect: 'none' | 'done',
): void {
  if (json.length * 3 <= bytesMax || Buffer.byteLength(json) <= bytesMax) return
  const details = kind === 'command' ? { details: { effect } } : {}
  throw new AtollError(
    'ANSWER_TOO_LARGE',
    `the answer of ${name} has ${Buffer.byteLength(json)} bytes; ${bytesMax} can be sent to who asked (answerBytesMax)`,
    details,
  )
}

import { describeThrown, type AtollError } from '@atoll/host'

/** What the store keeps of the error that an event met. */
export interface RecordedError {
  readonly code: string
  readonly message: string
  /** Of what the handler threw, not of our wrapping of it. */
  readonly stack: string
}

/** The parts of an error that every store can keep: recording a failure must not fail, or its try would never count. */
export function recordError(error: AtollError | undefined): RecordedError {
  if (!error) return { code: '', message: '', stack: '' }
  const { stack } = describeThrown(error.cause ?? error)
  return {
    code: error.code,
    message: toStorable(error.reason, MESSAGE_CHARS_MAX),
    stack: toStorable(stack, STACK_CHARS_MAX),
  }
}

/**
 * Messages quote what a client sent. U+0000 shows as its picture, ␀; halves of surrogates, also those that the cut
 * leaves, as U+FFFD.
 */
function toStorable(text: string, charsMax: number): string {
  return text.slice(0, charsMax).toWellFormed().replaceAll('\0', '␀')
}

const MESSAGE_CHARS_MAX = 2_000
const STACK_CHARS_MAX = 8_000

import { describeThrown, type AtollError } from '@atoll/host'

/** What has ended a command, for people: of what is known the message, which says what to do; the stack only of what nobody foresaw. */
export function failureText(error: AtollError): string {
  return error.code === 'INTERNAL' ? describeThrown(error.cause ?? error).stack : error.message
}

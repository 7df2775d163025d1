import type { AtollError } from '@atoll/host'

/** What has ended a command, for people: of what is known the message, which says what to do; the stack only of what nobody foresaw. */
export function failureText({ code, message, stack, cause }: AtollError): string {
  if (code !== 'INTERNAL') return message
  return (cause instanceof Error ? cause.stack : stack) ?? message
}

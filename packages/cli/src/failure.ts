import type { AtollError } from '@atoll/host'

/**
 * What has ended a command, for people, each thing once: the message, which says what to do; what is behind it, where the message does not say that;
 * and a stack only for what nobody foresaw.
 */
export function failureText({ code, message, stack, cause }: AtollError): string {
  if (code === 'INTERNAL') return (cause instanceof Error ? cause.stack : stack) ?? message
  const reason = cause instanceof Error ? cause.message : ''
  return message.includes(reason) ? message : `${message}\n  ${reason}`
}

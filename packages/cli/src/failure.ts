import { describeThrown, type AtollError } from '@atoll/host'
import { maskSecrets } from './secrets.ts'
import { toVisible } from './visible.ts'

/**
 * What has ended a command, for people: of what is known the message, which says what to do; the stack only of what
 * nobody foresaw.
 */
export function failureText(error: AtollError): string {
  const [first = '', ...more] = maskSecrets(
    error.code === 'INTERNAL' ? describeThrown(error.cause ?? error).stack : error.message,
  ).split('\n')
  // What it quotes may have lines of its own, which must not look like ours.
  return [toVisible(first), ...more.map((line) => `  ${toVisible(line)}`)].join('\n')
}

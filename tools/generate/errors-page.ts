import { errorCodes } from '@atoll/host'

/** The reference page of error codes, from the table that the code uses. */
export function errorsPage(): string {
  const lines = [
    '# Errors',
    '',
    'Every error that Atoll throws is an `AtollError` with one of these codes. The code leads the message, and the original error is its',
    '`cause`. Codes with a status reach clients; the others are answered as 500 without internals. *Retryable* means that the same request',
    'may succeed later, unchanged. This page is generated from `packages/host/src/codes.ts`.',
    '',
  ]
  for (const [code, entry] of Object.entries(errorCodes)) {
    const facts = [
      'status' in entry ? `HTTP ${entry.status}` : 'not for clients',
      ...('retryable' in entry ? ['retryable'] : []),
    ]
    lines.push(`## ${code}`, '', `${facts.join(', ')}. ${entry.meaning}`, '', `What to do: ${entry.remedy}`, '')
  }
  return lines.join('\n')
}

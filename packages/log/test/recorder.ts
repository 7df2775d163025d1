import type { Logger } from '@atoll/host'

/** A logger that keeps what it is told, a line each. */
export function createRecorder(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const keep =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level} ${message} ${'error' in fields ? String(fields.error) : ''}`)
  return { lines, info: keep('info'), warn: keep('warn'), error: keep('error') }
}

import type { Logger } from '@atoll/host'
import pino from 'pino'

/** Logs as lines of JSON on standard error, so that standard output stays what the command says. */
export function createLogger(level: 'info' | 'warn' | 'error'): Logger {
  const lines = pino({ level, base: undefined, serializers: { error: pino.stdSerializers.errWithCause } }, pino.destination({ dest: 2, sync: true }))
  return {
    info: (fields, message) => lines.info(fields, message),
    warn: (fields, message) => lines.warn(fields, message),
    error: (fields, message) => lines.error(fields, message),
  }
}

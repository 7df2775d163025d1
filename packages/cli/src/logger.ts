import { AtollError, type LogFields, type Logger } from '@atoll/host'
import pino from 'pino'

const levels = ['info', 'warn', 'error'] as const
type Level = (typeof levels)[number]

/** Logs on standard error, so that standard output stays what the command says: lines of JSON, or, on a terminal, lines for people. */
export function createLogger(level: Level): Logger {
  return process.stderr.isTTY ? createTerminalLogger(level, (text) => process.stderr.write(text)) : createJsonLogger(level)
}

function createJsonLogger(level: Level): Logger {
  const lines = pino({ level, base: undefined, serializers: { error: pino.stdSerializers.errWithCause } }, pino.destination({ dest: 2, sync: true }))
  return {
    info: (fields, message) => lines.info(fields, message),
    warn: (fields, message) => lines.warn(fields, message),
    error: (fields, message) => lines.error(fields, message),
  }
}

/** A line for what happened and one for the error behind it; the stack only where an error is nobody's plan. */
export function createTerminalLogger(level: Level, write: (text: string) => void): Logger {
  const at = (own: Level): Logger['info'] => (fields, message) => {
    if (levels.indexOf(own) < levels.indexOf(level)) return
    write(`${new Date().toTimeString().slice(0, 8)} ${own.toUpperCase().padEnd(5)} ${message}${formatFields(fields)}\n${formatError(fields['error'])}`)
  }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

function formatFields(fields: LogFields): string {
  const pairs = Object.entries(fields).filter(([name, value]) => name !== 'error' && value !== undefined)
  return pairs.map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('')
}

function formatError(thrown: unknown): string {
  if (thrown === undefined) return ''
  const error = AtollError.from(thrown)
  if (error.code !== 'INTERNAL') return `               ${error.message}\n`
  const { stack } = error.cause instanceof Error ? error.cause : error
  return `${(stack ?? error.message).split('\n').slice(0, STACK_LINES).map((line) => `               ${line.trim()}`).join('\n')}\n`
}

const STACK_LINES = 6

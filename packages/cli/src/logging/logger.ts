import { isatty } from 'node:tty'
import type { LogFields, Logger } from '@atoll/host'
import pino from 'pino'
import { maskSecrets } from '../secrets.ts'
import { toVisible, toVisibleLines } from '../visible.ts'
import { describeError } from './error.ts'
import { defaultLineLimits, type Notice } from './lines.ts'
import { standardError } from './standard-error.ts'

const levels = ['info', 'warn', 'error'] as const
type Level = (typeof levels)[number]
type Push = (line: string, notice: Notice) => void

/**
 * Logs on standard error, so that standard output stays what the command says: lines of JSON, or, on a terminal, lines
 * for people.
 */
export function createLogger(level: Level): Logger {
  const push: Push = (line, notice) => standardError.push(line, notice)
  return isatty(2) ? createTerminalLogger(level, push) : createJsonLogger(level, push)
}

/** Pino words the lines; how they go out is ours, since a log must neither stop a process nor end it. */
export function createJsonLogger(level: Level, push: Push): Logger {
  const notice: Notice = (leftOut, why) => JSON.stringify({ level: 40, time: Date.now(), leftOut, why, msg: LEFT_OUT })
  const write = (line: string): void => push(toVisible(maskSecrets(line.trimEnd(), lineCharsMax)), notice)
  const lines = pino({ level, base: undefined, serializers: { error: describeError } }, { write })
  const at =
    (own: Level): Logger['info'] =>
    (fields, message) => {
      try {
        lines[own](fields, message)
      } catch (error) {
        // a getter of a field threw: what happened is worth more than its fields
        lines[own]({ unreadable: describeError(error).message }, message)
      }
    }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

/** A line for what happened and one for the error behind it; the stack only where an error is nobody's plan. */
export function createTerminalLogger(level: Level, push: Push): Logger {
  const time = (): string => new Date().toTimeString().slice(0, 8)
  const notice: Notice = (leftOut, why) => `${time()} WARN  ${LEFT_OUT}  leftOut=${leftOut}  why=${why}`
  const at =
    (own: Level): Logger['info'] =>
    (fields, message) => {
      if (levels.indexOf(own) < levels.indexOf(level)) return
      const line = `${time()} ${own.toUpperCase().padEnd(5)} ${toVisible(message)}`
      try {
        push(maskSecrets(`${line}${formatFields(fields)}${formatError(fields['error'])}`, lineCharsMax), notice)
      } catch (error) {
        push(`${line}  unreadable=${toVisible(describeError(error).message)}`, notice) // as above
      }
    }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

function formatFields(fields: LogFields): string {
  const pairs = Object.entries(fields).filter(([name, value]) => name !== 'error' && value !== undefined)
  return pairs
    .map(([name, value]) => `  ${name}=${toVisible(typeof value === 'string' ? value : JSON.stringify(value))}`)
    .join('')
}

function formatError(thrown: unknown): string {
  if (thrown === undefined) return ''
  const { message, stack } = describeError(thrown)
  const lines =
    stack === undefined
      ? toVisible(message)
      : stack
          .split('\n')
          .slice(0, STACK_LINES)
          .map((line) => line.trim())
          .join('\n')
  return `\n${toVisibleLines(lines, INDENT)}`
}

const { lineCharsMax } = defaultLineLimits
const LEFT_OUT = 'lines of this log were left out: its reader did not keep up, or there was no room'
const STACK_LINES = 6
const INDENT = ' '.repeat(15)

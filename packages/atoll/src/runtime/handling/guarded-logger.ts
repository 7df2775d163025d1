import { describeThrown, type LogFields, type Logger } from '@atoll/host'

/**
 * A logger that never throws. What is logged stands beside what is done, often in the middle of it; and what a handler
 * threw, or what it logs, may be something that no logger can write. Then the line is written with what can be said of
 * its fields.
 */
export function guardLogger(logger: Logger): Logger {
  const at =
    (level: keyof Logger): Logger['info'] =>
    (fields, message) => {
      try {
        logger[level](fields, message)
      } catch {
        try {
          logger[level](plainly(fields), message)
        } catch {
          // There is nobody left to tell.
        }
      }
    }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

/**
 * A guarded logger that puts these fields before those of each line, which may throw when they are merely looked at.
 */
export function boundLogger(logger: Logger, fields: LogFields): Logger {
  const at =
    (level: keyof Logger): Logger['info'] =>
    (more, message) =>
      logger[level](joined(fields, more), message)
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

function joined(fields: LogFields, more: LogFields): LogFields {
  try {
    return { ...fields, ...more }
  } catch {
    return { ...fields, ...plainly(more) }
  }
}

function plainly(fields: LogFields): LogFields {
  try {
    return Object.fromEntries(Object.keys(fields).map((name) => [name, plain(fields, name)]))
  } catch {
    return { fields: UNSEEN }
  }
}

function plain(fields: LogFields, name: string): unknown {
  try {
    const value = fields[name]
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === undefined
      ? value
      : describeThrown(value).message
  } catch {
    return UNSEEN
  }
}

const UNSEEN = 'this could not be looked at'

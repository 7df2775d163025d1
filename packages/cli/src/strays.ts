import { AsyncLocalStorage } from 'node:async_hooks'
import { AtollError, describeThrown, type LogFields, type Logger } from '@atoll/host'
import type { Attributable, Attribution } from 'atoll/runtime'
import { failureText } from './failure.ts'
import { standardError } from './logging/standard-error.ts'

/** Watches for rejections of a process that nobody awaits, and knows who is to blame for them. */
export interface StrayWatch {
  readonly attribution: Attribution
  /** What runs now on behalf of some handling, for log lines; undefined if nothing does. */
  about(): LogFields | undefined
  /** Calls `listener` when the first handler of the process begins. */
  onFirst(listener: () => void): void
  /** Ends the watch. */
  end(): void
}

/**
 * Watches over what nobody awaits or catches in this process. Node.js tells of a rejection in the context in which its
 * promise was made, so it is known which handling left it: that one fails, or is logged, and the other services go on.
 * What nobody can be blamed for ends the process, as does every error that nobody catches: of that it is only said here
 * where it came from ({@link endOnUncaught} says what it was).
 */
export function watchStrays(logger: Logger): StrayWatch {
  const handlings = new AsyncLocalStorage<Attributable>()
  let isTold = false
  let tellFirst: (() => void) | undefined
  let hasHandled = false
  const about = (): LogFields | undefined => handlings.getStore()?.about()
  const onRejection = (reason: unknown): void => {
    const handling = handlings.getStore()
    if (!handling)
      throw reason instanceof Error
        ? reason
        : new Error(`a promise was rejected that nobody awaits: ${describeThrown(reason).message}`, { cause: reason })
    handling.takeStray(reason)
  }
  const onUncaught = (error: unknown): void => {
    const facts = about()
    if (!facts) return
    isTold = true
    logger.error({ ...facts, error }, 'a handler left an error that nobody catches, and the process ends')
  }
  const onExit = (code: number): void => {
    const facts = about()
    if (facts && !isTold) logger.error({ ...facts, code }, 'a handler ends the process')
  }
  process.on('unhandledRejection', onRejection)
  process.on('uncaughtExceptionMonitor', onUncaught)
  process.prependListener('exit', onExit) // before the log is flushed
  return {
    attribution: {
      during(handling, work) {
        if (!hasHandled) {
          hasHandled = true
          tellFirst?.()
        }
        return handlings.run(handling, work)
      },
      apart: (work) => handlings.exit(work),
    },
    about,
    onFirst(listener) {
      if (hasHandled) listener()
      tellFirst = listener
    },
    end: () => {
      process.off('unhandledRejection', onRejection)
      process.off('uncaughtExceptionMonitor', onUncaught)
      process.off('exit', onExit)
    },
  }
}

/**
 * Ends the process when nobody catches an error, as Node.js does, which would print it as it is: with what a terminal
 * obeys, and with passwords. It ends at once: what still runs can no longer be trusted.
 */
export function endOnUncaught(): void {
  process.on('uncaughtException', (error: unknown) => {
    // with its stack, whatever it is
    standardError.push(failureText(new AtollError('INTERNAL', 'nobody caught an error', { cause: error })))
    process.exit(UNCAUGHT) // and what was said so far goes out
  })
}

/** Exit code of Node.js for the same. */
const UNCAUGHT = 1

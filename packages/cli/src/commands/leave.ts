import type { Logger } from '@atoll/host'
import { flushStandardError } from '../logging/standard-error.ts'

/**
 * Ends the process soon after all of it was closed, also if something in it goes on: an interval of the system's own
 * module, a socket that a library has forgotten, a handler that never ends. Who has told it to stop waits for its end.
 * If nothing keeps it, it ends before by itself.
 */
export function leave(logger: Logger): void {
  setTimeout(() => {
    logger.warn(
      { held: process.getActiveResourcesInfo() },
      "all is closed, and something else would keep this process: it ends all the same. It may be an interval or a connection of the system's own module, or a handler that goes on",
    )
    const end = (): never => process.exit()
    setTimeout(end, LEAVE_MS) // whoever reads what it says may have stopped reading
    void flushStandardError().finally(() => process.stdout.write('', end))
  }, LEAVE_MS).unref()
}

const LEAVE_MS = 2_000

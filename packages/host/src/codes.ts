/**
 * Every error code of Atoll: what it means and what to do next. `docs/reference/errors.md` is generated from this
 * table. `status` is the HTTP status by which the gateway answers it; errors without one never reach a client and
 * answer 500. `retryable` says that the same request may succeed later, unchanged.
 */
export const errorCodes = {
  // what a caller did
  MALFORMED: {
    status: 400,
    meaning: 'The request could not be parsed.',
    remedy: 'Send well-formed JSON and a valid URL.',
  },
  UNAUTHENTICATED: {
    status: 401,
    meaning: 'The token is missing, malformed, expired or not ours.',
    remedy: 'Log in again and send the new token.',
  },
  FORBIDDEN: { status: 403, meaning: 'The caller is known and may not do this.', remedy: 'Ask as someone who may.' },
  NOT_FOUND: {
    status: 404,
    meaning: 'There is no such thing, or no such route.',
    remedy: 'Check the identifier or the path.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: 'The path exists, the method does not.',
    remedy: 'Use a method from the Allow header.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    meaning: 'The request did not arrive in time.',
    remedy: 'Send it faster, or raise the limit.',
  },
  CONFLICT: {
    status: 409,
    meaning: 'The request contradicts the present state.',
    remedy: 'Read the state, then decide again.',
  },
  PRECONDITION_FAILED: {
    status: 412,
    meaning: 'If-Match named a version that is not the present one.',
    remedy: 'Read the present version, apply the change to it, send it again.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    meaning: 'The body is over a limit.',
    remedy: 'Send less, or raise the limit that the message names.',
  },
  EVENT_TOO_LARGE: {
    status: 413,
    meaning: 'The data of an event is over what the log takes.',
    remedy: 'Bound the input in its schema; keep what is large elsewhere, and emit its name.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: 'The body is not JSON in UTF-8, as it is.',
    remedy: 'Send content-type: application/json, in UTF-8, without content-encoding.',
  },
  EXPECTATION_FAILED: {
    status: 417,
    meaning: 'The request expects something other than 100-continue.',
    remedy: 'Send it without Expect, or with Expect: 100-continue.',
  },
  INVALID: {
    status: 422,
    meaning: 'A value does not fit the schema or a rule.',
    remedy: 'Mend the fields that the answer names.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    meaning: 'The Idempotency-Key was used before with another input.',
    remedy:
      'Use a fresh key for each different request. Callers who are not logged in share a name, so their keys are kept apart by what they send: another input is another request there, and never refused with this.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    meaning: 'Too many requests from this caller.',
    remedy: 'Wait as long as Retry-After says.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    meaning: 'The headers are over the limit.',
    remedy: 'Send fewer or shorter headers.',
  },
  CANCELLED: { status: 499, meaning: 'The caller went away.', remedy: 'Nothing to do.' },
  NOT_IMPLEMENTED: {
    status: 501,
    meaning: 'The request uses a part of HTTP that is not understood here.',
    remedy: 'Send the body with Transfer-Encoding: chunked and no other coding, or with its Content-Length.',
  },

  // what a bad day did
  INTERNAL: {
    status: 500,
    meaning: 'A handler threw something unexpected.',
    remedy: 'Find the log line with the request id.',
  },
  ANSWER_TOO_LARGE: {
    status: 500,
    meaning:
      'The answer is larger than may be sent. A command was rolled back, unless the answer says that it was done.',
    remedy: 'Ask for less at a time; give the operation pages, or raise answerBytesMax.',
  },
  OVERLOADED: {
    status: 503,
    retryable: true,
    meaning: 'A queue is at its limit; the work was refused before it began.',
    remedy: 'Wait as long as Retry-After says; raise the named limit if it happens at normal load.',
  },
  UNAVAILABLE: {
    status: 503,
    retryable: true,
    meaning: 'The service is stopped, stopping, or cannot write.',
    remedy: 'Try again; look at /readyz and the log lines.',
  },
  BEHIND: {
    status: 503,
    retryable: true,
    meaning: 'A causal read waited its bound and the service had not caught up with the caller.',
    remedy: 'Try again; look at the ledger for what holds the subscription up.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    retryable: true,
    meaning: 'The time allowed ran out before the answer was there.',
    remedy: 'Try again, or allow more time.',
  },
  STORE_FULL: {
    status: 503,
    retryable: true,
    meaning: 'The disk has no room. Nothing that was acknowledged is lost.',
    remedy: 'Make room; writing resumes by itself.',
  },

  // what a service author did
  TX_WAITED: {
    meaning: 'A transaction waited for something other than its store.',
    remedy: 'Do the waiting (fetch, call, timers, crypto) before tx, and pass the result in.',
  },
  TX_CLOSED: {
    meaning: 'A transaction was used after it ended.',
    remedy: 'Await everything inside the tx callback; keep db, emit and schedule inside it.',
  },
  TX_FAILED: {
    meaning: 'A statement of a transaction failed, the failure was caught, and the transaction went on.',
    remedy: 'Let the failure go up. To try what may fail, write it so that it cannot: ON CONFLICT, or look first.',
  },
  NOT_EXECUTED: {
    meaning: 'A handler built a query and did not execute it, so it did nothing. What the handler did was undone.',
    remedy: 'Add .execute() (or executeTakeFirst, …) and await it. Build a write only where it is executed.',
  },
  TX_REPEATED: {
    meaning: 'A handler opened a second transaction.',
    remedy: 'One handling is one transaction: merge them, or emit an event and do the second part in its handler.',
  },
  CALL_IN_TX: {
    meaning: 'A handler called another service inside its transaction.',
    remedy: 'Call before tx and pass the result in; or emit an event.',
  },
  ANSWER_OUTSIDE_TX: {
    meaning:
      'A command returned something other than what its transaction returned. It was answered with the latter, which was checked and has committed; or, if that is nothing, rolled back.',
    remedy: 'Return the answer from the tx callback: it is checked and recorded with the commit.',
  },
  ANSWER_INVALID: {
    meaning:
      'An answer does not fit the output schema of its operation, is nothing that JSON can carry, or its etag failed. A command was rolled back.',
    remedy: 'Mend the handler or the schema.',
  },
  EVENT_INVALID: {
    meaning: 'An emitted event does not fit its schema, or would not be read as it was emitted.',
    remedy: 'Mend the handler or the schema; if the schema changed, raise the version and add an upcaster.',
  },
  EVENT_UNDECLARED: {
    meaning: 'A service emitted an event that its contract does not declare.',
    remedy: "Add the event to the contract, or to the service's own events.",
  },
  PROCESS_ENDED: {
    meaning:
      'The process ended while this event was being handled, and no other one that was in hand when it ended before.',
    remedy:
      'Look at the last lines of the process: a rejection that nobody awaited, process.exit, no memory left, a loop without end. Mend the handler, then redrive.',
  },
  EVENT_UNREADABLE: {
    meaning: 'No version of the event definition understands this record.',
    remedy: 'Add the upcaster or deploy the newer code, then redrive.',
  },
  DEFINITION_INVALID: {
    meaning: 'The system does not fit together: a name twice, an event that nobody emits, a route twice.',
    remedy: 'Mend what the message names.',
  },
  MIGRATION_CHANGED: {
    meaning: 'A migration differs from what was applied under its name.',
    remedy: 'Restore it, and put the change into a new migration.',
  },
  MIGRATION_OUT_OF_ORDER: {
    meaning: 'A new migration comes before one that was applied already. The store was not touched.',
    remedy: 'Put it behind those that were applied, under a name that sorts there.',
  },
  MIGRATION_FAILED: {
    meaning: 'A migration failed and was rolled back.',
    remedy: 'Correct the SQL of the migration that the message names, and start again.',
  },

  REPLAY_FAILED: {
    meaning: 'A rebuilt projection could not handle events that the live one has. The live one was kept.',
    remedy: 'Mend the handler that the message names, then replay again.',
  },

  // stores and logs
  STORE_CLOSED: { meaning: 'The store was used after close.', remedy: 'Stop using it before closing it.' },
  STORE_CORRUPT: {
    meaning: 'A file is damaged. It was not touched.',
    remedy:
      'Keep a copy; restore stores and log from a backup of one moment: a file that is older than the others does not fit them.',
  },
  STORE_OUTDATED: {
    status: 503,
    meaning:
      'The store of a service is older than the log, or another one (a restored backup?): the log has events that it does not know to have emitted. The service hands nothing on and handles nothing; a command is refused with this, because what it did would be lost with that store.',
    remedy:
      'Restore the newest copy of the store; or store and log from the same moment. To take commands all the same, set runtime.commandsWhenOutdated.',
  },
  STORE_NEWER: {
    meaning: 'A file was written by a newer version. It was not touched.',
    remedy: 'Run that version or a later one.',
  },
  SETTING_UNSAFE: {
    meaning: 'A setting of an engine breaks a promise, and the start was refused.',
    remedy: 'Change the setting that the message names; or accept it by name, and live with what the message says.',
  },
  STORE_NOT_DURABLE: {
    meaning: 'The store reports settings that could lose acknowledged writes.',
    remedy: 'Restore the settings that the message names.',
  },
  DATA_IN_USE: {
    meaning: 'Another process holds the data folder.',
    remedy: 'Stop it, or use another folder. If it is only starting or stopping, try again.',
  },
  DATA_UNUSABLE: {
    meaning:
      'What was named as a data folder is none: a file, a link to nothing, a place that may not be read or written; or the folder does not say any more which system ran there, or has a folder in the place of a small file; or another account has the place where its running system is to be asked.',
    remedy: 'Mend what the message names, or name another folder.',
  },
  PORT_TAKEN: {
    meaning: 'The port is taken.',
    remedy: 'Stop what listens there, or choose another port (--port, or PORT).',
  },
  LOG_CLOSED: { meaning: 'The log was used after close.', remedy: 'Stop using it before closing it.' },
  LOG_GAP: {
    meaning:
      'Event numbers are missing: records were lost, an append was refused because it would leave a hole, or the log is another one than the store has read so far.',
    remedy:
      'The relays and subscriptions that need the missing records are halted, and skip nothing. Restore the log, or give the system the one that its stores belong to; `atoll ledger` says of each account where the log ends.',
  },
  LOG_DIVERGED: {
    meaning:
      'The log has another event under a number than the one that was read or appended there: log and store are from different histories (a restored backup?). The subscription or relay is halted, and skips nothing.',
    remedy: 'Restore log and store from the same moment. A projection can be built anew with `atoll replay`.',
  },
  LEDGER_UNBALANCED: {
    meaning:
      'The account of a subscription does not balance: events that its source emitted are missing from it, or it has more than the source ever emitted. Stores or the log are of different moments (a restored backup?); or events were lost, or handled twice.',
    remedy:
      'If anything was restored, restore all of the same moment; a projection can be built anew with `atoll replay`. If nothing was, this is a defect: keep the data as they are, of a simulation the seed. `atoll ledger` says of each account what it lacks.',
  },
  FENCED: {
    retryable: true,
    meaning: 'Another instance has taken over this partition; the transaction was rolled back.',
    remedy: 'Nothing to do: the new owner handles the event.',
  },

  // tests and simulations
  NONDETERMINISTIC: {
    meaning: 'Something was used in a world under a seed that would be different in its next run.',
    remedy: 'Use what the message names instead.',
  },
  NOT_QUIET: {
    meaning: 'A world did not come to rest within the bound.',
    remedy:
      'The message names what was still pending: look for a handler that fails for ever, a service that is down, or events that lead to each other without end.',
  },
  INVARIANT_BROKEN: {
    meaning: 'A simulated system broke a promise.',
    remedy: 'Replay the seed with the command that the message names, and mend the code.',
  },

  UNSUPPORTED: {
    meaning: 'What was asked for is not offered there.',
    remedy: 'Read the message: it says why, and what there is.',
  },
  CONFIG_INVALID: {
    meaning: 'A setting is missing, unknown or of the wrong kind, or settings do not go together.',
    remedy:
      'Mend the setting that the message names, in the file or the variable that it names; `atoll config` prints all of them.',
  },
  COMMAND_USAGE: {
    meaning: 'The command line was not understood, or names something that does not exist.',
    remedy: 'Read the message; --help lists what there is.',
  },
} as const satisfies Record<string, { status?: number; retryable?: boolean; meaning: string; remedy: string }>

/** One of the closed set of Atoll's error codes. */
export type ErrorCode = keyof typeof errorCodes

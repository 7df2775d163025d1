// For what runs systems: the gateway, the command line, test worlds. Not for service authors.
export { openSystem, startSystem } from './runtime/start.ts'
export { defaultOptions, type RuntimeOptions } from './runtime/options.ts'
export { isTrace, newTrace } from './runtime/trace.ts'
export type { Calls, Cancellation, OpenSystem, Ports, Readiness, RunningSystem, Dispatch, Dispatched, RunningService, StopOptions } from './runtime/running.ts'
export { decodePosition, encodePosition, mergePositions, type Position } from './runtime/position.ts'
export type { Admin, DeadLetter, EventsOptions, LedgerRow, ReplayProgress, RedriveOptions, RedriveOutcome } from './runtime/admin.ts'
export type { StoredRecord } from '@atoll/log/driver'
export { AtollError, errorCodes, type ErrorCode } from '@atoll/host'

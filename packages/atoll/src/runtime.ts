// For what runs systems: the gateway, the command line, test worlds. Not for service authors.
export { startSystem } from './runtime/start.ts'
export { defaultOptions, type RuntimeOptions } from './runtime/options.ts'
export { isTrace, newTrace } from './runtime/trace.ts'
export type { Ports, RunningSystem, Dispatch, Dispatched, RunningService, StopOptions } from './runtime/running.ts'
export { decodePosition, encodePosition, mergePositions, type Position } from './runtime/position.ts'
export type { DeadLetter, LedgerRow, RedriveOutcome, RebuildProgress, Admin } from './runtime/admin.ts'
export { AtollError, errorCodes, type ErrorCode } from '@atoll/host'

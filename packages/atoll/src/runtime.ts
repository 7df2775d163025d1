// For what runs systems: the gateway, the command line, test worlds. Not for service authors.
export { openSystem, startSystem } from './runtime/start.ts'
export { defaultOptions, type RuntimeOptions } from './runtime/options.ts'
export { assertAnswerSize } from './runtime/command/answer-size.ts'
export { isTrace, newTrace } from './runtime/handling/trace.ts'
export { runAttributed, type Attributable, type Attribution } from './runtime/handling/attribution.ts'
export { coercedNumbers } from './contract/coerced.ts'
export { isGone } from './runtime/admin/dead-letters.ts'
export { discardEach, redriveEach, type FindDiscarded } from './runtime/admin/ending-letters.ts'
export { createFaultLogger } from './runtime/faults.ts'
export { inBrief } from './runtime/problem.ts'
export type {
  Calls,
  Cancellation,
  OpenSystem,
  Ports,
  Problem,
  Readiness,
  RunningSystem,
  Dispatch,
  Dispatched,
  MaybeSeen,
  RunningService,
  StopOptions,
} from './runtime/running.ts'
export { decodePosition, encodePosition, mergePositions, type Position } from './runtime/position.ts'
export type {
  Admin,
  DeadLetter,
  DeadLetterFilter,
  DiscardedLetter,
  DiscardOptions,
  EventsOptions,
  GoneLetter,
  LedgerRow,
  ReplayProgress,
  RedriveOptions,
  RedriveOutcome,
} from './runtime/admin.ts'

// For every part of Atoll, and for authors of drivers.
export { AtollError, type AtollErrorOptions } from './error.ts'
export { errorCodes, type ErrorCode } from './codes.ts'
export { mishaps, type Examination, type Finding, type Mishap } from './examination.ts'
export { silentLogger, type Host, type LogFields, type Logger, type Timer } from './host.ts'
export { Heap } from './heap.ts'
export { describeThrown, isSoundError, type ThrownText } from './thrown.ts'

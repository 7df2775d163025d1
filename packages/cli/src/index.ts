// For programs that start a system as `atoll dev` does: examples, tests, benchmarks.
export type { GatewayExport, GatewaySettings } from './gateway.ts'
export { start, type Started, type StartOptions } from './start.ts'

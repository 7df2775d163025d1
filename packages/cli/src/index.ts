// For programs that start a system as `atoll dev` does: examples, tests, benchmarks.
export { start, type GatewaySettings, type Started, type StartOptions } from './start.ts'

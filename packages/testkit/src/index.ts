// For tests of applications: a whole system in one process, in virtual time.
export {
  world,
  World,
  type AskOptions,
  type Backup,
  type Clock,
  type Ended,
  type Logged,
  type RequestOptions,
  type WorldOptions,
  type WorldResponse,
} from './world/world.ts'
export type { Duration } from './world/duration.ts'
export type { Effect, Flow } from './world/flow.ts'
export type { Mishap, Phase, Point } from './world/passage.ts'
export { createRandom, type Random } from './random.ts'
export type { Glimpse } from './world/world.ts'
export type { Fault, FaultKind } from './simulation/fault.ts'
export { describeFault } from './simulation/fault.ts'
export { runSeed, type Client, type RunReport, type Settled, type Simulation } from './simulation/run.ts'
export { assertSame, simulate, type SimulateOptions, type SimulationReport } from './simulation/simulate.ts'
export { shrinkFaults } from './simulation/shrink.ts'
export { keepRegression, readRegressions, type Regression } from './simulation/regressions.ts'

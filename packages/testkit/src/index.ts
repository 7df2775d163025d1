// For tests of applications: a whole system in one process, in virtual time.
export { world, World, type AskOptions, type Clock, type Logged, type RequestOptions, type WorldOptions, type WorldResponse } from './world/world.ts'
export type { Duration } from './world/duration.ts'
export type { Effect, Flow } from './world/flow.ts'
export type { Mishap, Phase, Point } from './world/passage.ts'
export { createRandom, type Random } from './random.ts'

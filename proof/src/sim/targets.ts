import type { Simulation } from '@atoll/testkit'
import type { System } from 'atoll'

/** A system, and how it is simulated. */
export interface Target {
  readonly system: System
  readonly simulation: Simulation<unknown>
}

/** What can be simulated. Imported when it is asked for, so that a planted bug is there before the code is. */
export const targets = {
  bank: async () => ({
    system: (await import('../bank/system.ts')).default,
    simulation: (await import('../bank/simulation.ts')).bankSimulation as Simulation<unknown>,
  }), // whoever runs it hands its state from `begin` to the rest
  conduit: async () => ({
    system: (await import('../conduit/system.ts')).default,
    simulation: (await import('../conduit/simulation.ts')).conduitSimulation as Simulation<unknown>,
  }), // as above
  desk: async () => ({
    system: (await import('../desk/system.ts')).default,
    simulation: (await import('../desk/simulation.ts')).deskSimulation as Simulation<unknown>,
  }), // as above
  restores: async () => ({
    system: (await import('../restores/system.ts')).restoresSystem,
    simulation: (await import('../restores/simulation.ts')).restoresSimulation as Simulation<unknown>,
  }), // as above
} satisfies Record<string, () => Promise<Target>>

export type TargetName = keyof typeof targets

export const targetNames = Object.keys(targets) as TargetName[]

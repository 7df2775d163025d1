import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describeFault, type Fault } from './fault.ts'

/** A run that failed once, and is run first from then on. */
export interface Regression {
  readonly seed: number | string
  /** What was broken. */
  readonly invariant: string
  /** The shrunk list. */
  readonly faults: readonly Fault[]
}

/** What is in a file of regressions; nothing if there is no file. */
export function readRegressions(file: string | undefined): Regression[] {
  if (file === undefined || !existsSync(file)) return []
  return JSON.parse(readFileSync(file, 'utf8')) as Regression[] // written below, and by nobody else
}

/** Keeps a failed run, once. */
export function keepRegression(file: string, regression: Regression): void {
  const known = readRegressions(file)
  if (
    known.some(
      ({ seed, faults }) => seed === regression.seed && JSON.stringify(faults) === JSON.stringify(regression.faults),
    )
  )
    return
  const { seed, invariant, faults } = regression
  writeFileSync(
    file,
    `${JSON.stringify([...known, { seed, invariant, inWords: faults.map(describeFault), faults }], null, 2)}\n`,
  )
}

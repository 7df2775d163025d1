import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { commitNow, machineNow } from '../outages/record.ts'
import type { SuiteResult } from './suite.ts'

/** What is kept of a run on one log. */
export interface RealWorldRecord {
  readonly date: string
  readonly commit: string
  readonly machine: string
  readonly log: string
  readonly result: SuiteResult
}

/** The last recorded run on each log. */
const realworldFile = fileURLToPath(new URL('../../recorded/realworld.json', import.meta.url))

export function record(log: string, result: SuiteResult): void {
  const run: RealWorldRecord = {
    date: new Date().toISOString(),
    commit: commitNow(),
    machine: machineNow(),
    log,
    result,
  }
  const others = readRealWorld().filter((other) => other.log !== log)
  writeFileSync(
    realworldFile,
    `${JSON.stringify(
      [...others, run].sort((a, b) => a.log.localeCompare(b.log)),
      null,
      2,
    )}\n`,
  )
}

export function readRealWorld(): RealWorldRecord[] {
  // written above
  return existsSync(realworldFile) ? (JSON.parse(readFileSync(realworldFile, 'utf8')) as RealWorldRecord[]) : []
}

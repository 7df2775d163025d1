import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Summary } from './loop.ts'

/** What is kept of a run. */
export interface OutageRecord {
  readonly date: string
  readonly commit: string
  readonly machine: string
  readonly app: string
  readonly log: string
  readonly seed: number
  readonly seconds: number
  readonly kills: Summary['kills']
  readonly mishaps: Readonly<Record<string, number>>
  /** Before how many of them something had been acknowledged since the one before. */
  readonly underWork: number
  readonly requests: Summary['requests']
  /** How often everything was held to account. */
  readonly accounts: number
  /** The longest that it took to be at rest, and the bound, milliseconds. */
  readonly recoveryMsMax: number
  readonly recoveryMsBound: number
  readonly violation: Summary['violation']
}

/** The last recorded run of each system with each log. */
const outagesFile = fileURLToPath(new URL('../../recorded/outages.json', import.meta.url))

export function toRecord(
  { app, log, seed, kills, mishaps, underWork, requests, recoveriesMs, recoveryMsBound, violation }: Summary,
  seconds: number,
): OutageRecord {
  return {
    date: new Date().toISOString(),
    commit: commitNow(),
    machine: machineNow(),
    app,
    log,
    seed,
    seconds,
    kills,
    mishaps: Object.fromEntries([...mishaps].sort(([a], [b]) => a.localeCompare(b))),
    underWork,
    requests,
    accounts: recoveriesMs.length,
    recoveryMsMax: Math.round(Math.max(0, ...recoveriesMs)),
    recoveryMsBound,
    violation,
  }
}

export function record(run: OutageRecord): void {
  const others = readRecords().filter(({ app, log }) => app !== run.app || log !== run.log)
  writeFileSync(
    outagesFile,
    `${JSON.stringify(
      [...others, run].sort((a, b) => `${a.app} ${a.log}`.localeCompare(`${b.app} ${b.log}`)),
      null,
      2,
    )}\n`,
  )
}

export function readRecords(): OutageRecord[] {
  // written above
  return existsSync(outagesFile) ? (JSON.parse(readFileSync(outagesFile, 'utf8')) as OutageRecord[]) : []
}

export function commitNow(): string {
  return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
}

export function machineNow(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform}`
}

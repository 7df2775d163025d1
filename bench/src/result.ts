import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'

/** One measured number, with the goal it is held against. */
export interface Result {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** Against the ceiling or peer measured in the same run. */
  readonly ratio?: number
  /** What the ratio should reach; or the value, where there is no ratio. 0 for what others are held against. */
  readonly goal: number
  /** Whether the goal is an upper bound (times, memory). */
  readonly atMost?: boolean
}

/** A run: what was measured, where, when, and of which commit. */
export interface Report {
  readonly machine: string
  readonly date: string
  readonly commit: string
  readonly results: readonly Result[]
}

export function createReport(results: readonly Result[]): Report {
  const [cpu] = cpus()
  return {
    machine: `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform}`,
    date: new Date().toISOString(),
    commit: commitName(),
    results,
  }
}

function commitName(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown' // not a git checkout
  }
}

function isMet({ value, ratio, goal, atMost }: Result): boolean {
  const measured = ratio ?? value
  return atMost ? measured <= goal : measured >= goal
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

/** The report as a table for people. */
export function formatReport(report: Report): string {
  const rows = report.results.map((result) => [
    result.goal === 0 ? '' : isMet(result) ? '✓' : '✗',
    result.name,
    `${format(result.value)} ${result.unit}`,
    result.ratio === undefined ? '' : `${Math.round(result.ratio * 100)} %`,
    result.goal === 0
      ? ''
      : `${result.atMost ? '≤' : '≥'} ${result.ratio === undefined ? `${format(result.goal)} ${result.unit}` : `${Math.round(result.goal * 100)} %`}`,
  ])
  const header = ['', 'workload', 'measured', 'of ceiling', 'goal']
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column >= 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join('  ')
  return [`${report.machine} · ${report.date} · ${report.commit}`, '', line(header), ...rows.map(line)].join('\n')
}

function format(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  return value >= 10 ? value.toFixed(0) : value.toFixed(2)
}

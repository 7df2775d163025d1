import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import type { Summary } from './loop.ts'

/** Tells on standard error how far it is: over and over on a terminal, every few seconds elsewhere. */
export function createProgress(kills: number): (summary: Summary) => void {
  const startedMs = performance.now()
  const everyMs = process.stderr.isTTY ? 0 : 5_000
  let toldMs = startedMs
  return (summary) => {
    const nowMs = performance.now()
    if (nowMs - toldMs < everyMs) return
    toldMs = nowMs
    const secondsEach = (nowMs - startedMs) / 1_000 / summary.kills
    const left = Math.ceil(secondsEach * (kills - summary.kills))
    const text = `${summary.kills} of ${kills} kills, ${secondsEach.toFixed(2)} s each, ${left} s left`
    process.stderr.write(process.stderr.isTTY ? `\r\u001B[K${text}` : `${text}\n`)
  }
}

export function isGood(summary: Summary): boolean {
  return summary.violation === undefined
}

export function formatSummary(summary: Summary, seconds: number): string {
  const { kills, places, requests, checks, violation, seed } = summary
  const lines = [...places]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([place, count]) => `${String(count).padStart(6)}  ${place}`)
  lines.push(
    '',
    `${kills} kills in ${seconds.toFixed(0)} s (seed ${seed}), ${checks} times held to account`,
    `requests: ${requests.acknowledged} acknowledged, ${requests.refused} refused, ${requests.unknown} unknown, of which ${requests.again} settled by sending them again`,
    violation
      ? `VIOLATION after kill ${violation.kill} (${violation.last}), seed ${seed}:\n${violation.text}\nthe data are in ${violation.folder}`
      : 'every acknowledged request is there exactly once, no refused one is, every unknown one at most once; 0 violations',
  )
  return `${process.stderr.isTTY ? '\n' : ''}${lines.join('\n')}`
}

/** What is kept of a run. */
export function toRecord(summary: Summary, seconds: number) {
  const [cpu] = cpus()
  return {
    date: new Date().toISOString(),
    commit: commitName(),
    machine: `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform}`,
    seed: summary.seed,
    seconds: Math.round(seconds),
    kills: summary.kills,
    places: Object.fromEntries([...summary.places].sort(([a], [b]) => a.localeCompare(b))),
    checks: summary.checks,
    requests: summary.requests,
    violations: summary.violation ? 1 : 0,
    ...(summary.violation ? { violation: summary.violation } : {}),
  }
}

function commitName(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown' // not a git checkout
  }
}

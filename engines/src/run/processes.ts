import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { holdsWithin } from '../waiting.ts'

interface Process {
  readonly pid: number
  /** T for halted, Z for ended. */
  readonly state: string
  readonly parent: number
  readonly group: number
}

/**
 * Halts an engine: the leader of its group, the group, and everything that descends from it, for PostgreSQL gives each
 * of its children a group of its own. Resolves with whom it halted, when they stand still. Who is halted cannot start
 * others, so nobody is missed.
 */
export async function halt(leader: number): Promise<number[]> {
  const halted = new Set<number>()
  for (;;) {
    const more = membersOf(leader).filter((pid) => !halted.has(pid))
    if (more.length === 0) return [...halted]
    for (const pid of more) {
      halted.add(pid)
      signal(pid, 'SIGSTOP')
    }
    await holdsWithin(HALT_MS, () => more.every(standsStill))
  }
}

/** A thread that waits for a disk stands still when it has it. */
const HALT_MS = 10_000

/** All processes of an engine that are still alive. */
export function membersOf(leader: number): number[] {
  const all = list()
  const members = new Set<number>(
    all.filter(({ pid, group }) => pid === leader || group === leader).map(({ pid }) => pid),
  )
  for (let size = 0; size < members.size;) {
    size = members.size
    for (const { pid, parent } of all) if (members.has(parent)) members.add(pid)
  }
  return [...members]
}

/** Whether a process runs or is halted. One that has ended and was not collected by its parent is not alive. */
export function isAlive(pid: number): boolean {
  return list().some((process) => process.pid === pid)
}

/** Whether all its threads are halted: a signal takes its time. */
function standsStill(pid: number): boolean {
  if (!HAS_PROC) return list().every((process) => process.pid !== pid || process.state.startsWith('T'))
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) =>
      /^[TtZX]$/.test(fieldsOf(`/proc/${pid}/task/${thread}/stat`)[0]!),
    ) // it has fields
  } catch {
    return true // ended while we looked
  }
}

/** Sends a signal; a process that has ended meanwhile is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // process.kill throws nothing else
  }
}

/** Every process of the machine but those that have ended and were not yet collected. */
function list(): Process[] {
  return (HAS_PROC ? listProc() : listPs()).filter(({ state }) => !/^[ZX]/.test(state))
}

function listProc(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [state, parent, group] = fieldsOf(`/proc/${name}/stat`)
        return [{ pid: Number(name), state: state!, parent: Number(parent), group: Number(group) }] // it has fields
      } catch {
        return [] // ended while we looked
      }
    })
}

/** What follows the name of the program, which stands in parentheses and may hold anything. */
function fieldsOf(path: string): string[] {
  const stat = readFileSync(path, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function listPs(): Process[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, group, state]) => ({
      pid: Number(pid),
      state: state ?? '',
      parent: Number(parent),
      group: Number(group),
    }))
}

const HAS_PROC = existsSync('/proc/self/stat')

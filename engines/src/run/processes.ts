import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
}

/**
 * Halts an engine: the leader of its group, the group, and everything that descends from it, for PostgreSQL gives each of its children a group of
 * its own. Returns whom it halted. Who is halted cannot start others, so nobody is missed.
 */
export function halt(leader: number): number[] {
  const halted = new Set<number>()
  for (;;) {
    const more = membersOf(leader).filter((pid) => !halted.has(pid))
    if (more.length === 0) return [...halted]
    for (const pid of more) {
      halted.add(pid)
      signal(pid, 'SIGSTOP')
    }
  }
}

/** All processes of an engine that are still alive. */
export function membersOf(leader: number): number[] {
  const all = list()
  const members = new Set<number>(all.filter(({ pid, group }) => pid === leader || group === leader).map(({ pid }) => pid))
  for (let size = 0; size < members.size; ) {
    size = members.size
    for (const { pid, parent } of all) if (members.has(parent)) members.add(pid)
  }
  return [...members]
}

/** Whether a process runs or is halted. One that has ended and was not collected by its parent is not alive. */
export function isAlive(pid: number): boolean {
  return list().some((process) => process.pid === pid)
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
  return existsSync('/proc/self/stat') ? listProc() : listPs()
}

function listProc(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        // The second field is the name of the program, in parentheses, and may hold anything.
        const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return state === 'Z' || state === 'X' ? [] : [{ pid: Number(name), parent: Number(parent), group: Number(group) }]
      } catch {
        return [] // ended while we looked
      }
    })
}

function listPs(): Process[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([pid, , , state]) => pid && !state?.startsWith('Z'))
    .map(([pid, parent, group]) => ({ pid: Number(pid), parent: Number(parent), group: Number(group) }))
}

/**
 * A system call in a trace of strace (`-f -y`). Calls of threads overlap, so each has two places in the order of lines.
 */
export interface SystemCall {
  readonly name: string
  /** Path of the file, or kind of the socket, that the first argument is. */
  readonly target: string
  readonly args: string
  readonly begin: number
  readonly end: number
  readonly failed: boolean
}

/** Reads a trace. Calls that never returned are left out: they made nothing durable. */
export function parseTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = []
  const open = new Map<string, { name: string; target: string; args: string; begin: number }>()
  text.split('\n').forEach((line, at) => {
    const resumed = /^(\d+)\s+[\d.:]*\s*<\.\.\. (\w+) resumed>(.*)$/.exec(line)
    if (resumed) {
      const [, thread, name, rest] = resumed as unknown as [string, string, string, string] // the groups above
      const begun = open.get(`${thread} ${name}`)
      if (begun) calls.push({ ...begun, end: at, failed: isFailed(rest) })
      open.delete(`${thread} ${name}`)
      return
    }
    const begun = /^(\d+)\s+[\d.:]*\s*(\w+)\(\d+<([^>]*)>(.*)$/.exec(line)
    if (!begun) return
    // the groups above
    const [, thread, name, target, args] = begun as unknown as [string, string, string, string, string]
    if (args.endsWith('<unfinished ...>')) open.set(`${thread} ${name}`, { name, target, args, begin: at })
    else calls.push({ name, target, args, begin: at, end: at, failed: isFailed(args) })
  })
  return calls.sort((a, b) => a.begin - b.begin)
}

export interface Verdict {
  /** Answers of 2xx that were looked at. */
  readonly answers: number
  /** Syncs of the file that came in time. */
  readonly syncs: number
  readonly violations: readonly string[]
}

/**
 * Whether each answer of 2xx left only after what it says was on disk: after the one before it the file was written,
 * and after the last of these writes it was synced, before the first byte of the answer. For commands that come one by
 * one.
 */
export function judgeTrace(calls: readonly SystemCall[], file: string): Verdict {
  const writes = calls.filter(({ name, target }) => target.endsWith(file) && writing.has(name))
  const syncs = calls.filter(({ name, target, failed }) => target.endsWith(file) && syncing.has(name) && !failed)
  const answers = calls.filter(
    ({ name, args }) => (sending.has(name) || writing.has(name)) && /"HTTP\/1\.1 2\d\d/.test(args),
  )
  const violations: string[] = []
  let inTime = 0
  let after = -1
  for (const [index, answer] of answers.entries()) {
    const last = writes.findLast((write) => write.begin > after && write.begin < answer.begin)
    if (!last) violations.push(`answer ${index + 1} left without a write to ${file} before it`)
    else if (syncs.some((sync) => sync.begin > last.end && sync.end < answer.begin)) inTime++
    else
      violations.push(
        `answer ${index + 1} left before ${file} was synced: written at line ${last.begin + 1} of the trace, answered at line ${answer.begin + 1}`,
      )
    after = answer.begin
  }
  return { answers: answers.length, syncs: inTime, violations }
}

function isFailed(rest: string): boolean {
  return !/= \d+( |$)/.test(rest)
}

const writing: ReadonlySet<string> = new Set(['write', 'writev', 'pwrite64', 'pwritev'])
const sending: ReadonlySet<string> = new Set(['sendto', 'sendmsg'])
const syncing: ReadonlySet<string> = new Set(['fdatasync', 'fsync'])

import { spawn } from 'node:child_process'
import { signal } from './processes.ts'

/**
 * Sees to it that a process group ends with us, however we end: it reads from a pipe that closes when we are gone, even
 * by SIGKILL, and then kills the group. Call what it returns once the group has ended, so that it does not kill another
 * that got its number.
 */
export function guard(group: number): () => void {
  const script = `cat >/dev/null; kill -s KILL -- -${group} 2>/dev/null`
  // A group of its own: Ctrl-C at a terminal goes to all of ours.
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.unref()
  return () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) signal(-child.pid, 'SIGKILL')
  }
}

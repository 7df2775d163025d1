import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { createNodeHost } from '@atoll/host/node'
import { Lines } from './lines.ts'

const FD = 2

/** The lines that this process writes on standard error. */
export const standardError = new Lines({ write: createWrite(), after: createNodeHost().after })

// However the process ends: what its log has room for still goes out.
process.on('exit', () => standardError.flushNow())

/** Gives what was logged a moment to go out, also where its reader is slow. */
export function flushStandardError(): Promise<void> {
  return standardError.flush(FLUSH_MS)
}

/**
 * Writes without waiting for whoever reads. A file takes what it is given as long as there is room; but a pipe or a
 * terminal whose reader stands still would stop the process, or, written to by a thread, keep it from ending. So these
 * are opened anew in a mode in which they refuse instead. The mode of the one that we were given is no help: it is
 * shared with those who gave it, and who may set it back. Node.js sets it too, as soon as anything looks at
 * `process.stderr` (its own modules do, when a library imports them), and sets it back when it exits.
 */
function createWrite(): (bytes: Uint8Array) => number {
  let fd: number | undefined
  return (bytes) => {
    fd ??= openUnblocked()
    return writeSync(fd, bytes)
  }
}

function openUnblocked(): number {
  if (fstatSync(FD).isFile()) return FD
  try {
    return openSync(`/proc/self/fd/${FD}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // A socket, or no Linux. Node itself puts pipes and sockets into that mode when it opens its stream on them.
    void process.stderr
    return FD
  }
}

/** How long the end of a process waits for the reader of its log, milliseconds. */
const FLUSH_MS = 2_000

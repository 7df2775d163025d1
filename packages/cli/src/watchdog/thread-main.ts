import { writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'
import { BEATS, DEBUGGER, HANDLES, TURNS, whoseHandling, type Watch } from './watchdog.ts'

// Looks, so many times in the time of a stall, whether the loop of the process has turned. Counted are looks, and not
// the time between them: a machine that was asleep, or a process that was stopped as a whole, has looked at nothing.
const { stallMsMax, beats } = workerData as Watch // what the watchdog gave
let turns = -1
let looks = 0
/** What the process had computed when the loop last turned. */
let cpuMsBefore = 0
/** It was asked, and is inside of something that does not answer. */
let isInside = false
setInterval(
  () => {
    const now = Atomics.load(beats, TURNS)
    looks = now === turns && Atomics.load(beats, DEBUGGER) === 0 ? looks + 1 : 0
    turns = now
    if (looks === 0) cpuMsBefore = cpuMs()
    if (looks === BEATS) ask()
    else if (isInside && cpuMs() - cpuMsBefore >= stallMsMax) endWhatComputes()
  },
  Math.ceil(stallMsMax / BEATS),
)

/**
 * What is no JavaScript and computes, while nothing else of the process runs, does not wait for a disk: a statement
 * without end, for one. Which handling it belongs to, nobody can say from here; the tries after this end do.
 */
function endWhatComputes(): void {
  isInside = false
  if (Atomics.load(beats, HANDLES) === 0)
    return say({
      level: 40,
      msg: 'it computes, and no handler has run yet: this may be a migration, and the process is left alone',
    })
  say({
    level: 50,
    msg: 'something that is no JavaScript, such as a statement without end, has computed for as long as loopStallMsMax says, and let nothing else of this process run: the process is ended',
  })
  process.kill(process.pid, 'SIGKILL')
}

/**
 * All that the process has computed so far, in all its threads. The others have little to do while the loop gives them
 * nothing.
 */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/**
 * Stops the loop where it is and asks what it is about. Inside of something that is no JavaScript, such as a write to a
 * disk that hangs, that is only answered when it is over: that was no loop without end, and what comes next is innocent
 * of it.
 */
function ask(): void {
  const session = new Session()
  session.connectToMainThread()
  let isLate = false
  const late = setTimeout(() => {
    isLate = true
    isInside = true
    say({
      level: 40,
      msg: 'nothing else of this process has run for as long as loopStallMsMax says, and it does not answer: it is inside of something that is no JavaScript, such as a statement of SQLite, a program that it waits for, or a disk that hangs',
    })
  }, ANSWER_MS)
  const urls = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }) => void urls.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    clearTimeout(late)
    isInside = false
    const stack = callFrames
      .slice(0, FRAMES_MAX)
      .map(
        ({ functionName, location }) =>
          `at ${functionName || '(anonymous)'} (${urls.get(location.scriptId) ?? ''}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1})`,
      )
    const expression = `globalThis[${JSON.stringify(whoseHandling)}]?.()`
    session.post(
      'Debugger.evaluateOnCallFrame',
      { callFrameId: callFrames[0]!.callFrameId, expression, returnByValue: true, silent: true },
      (_, answer) => {
        const about: unknown = answer?.result.value
        if (!isLate && typeof about === 'string' && Atomics.load(beats, TURNS) === turns) {
          say({
            level: 50,
            ...(JSON.parse(about) as object),
            stack,
            msg: 'a handler has let nothing else of this process run for as long as loopStallMsMax says: the process is ended',
          })
          process.kill(process.pid, 'SIGKILL')
        }
        if (isLate) looks = 0 // a loop that comes next is found like every other
        say({
          level: 40,
          stack,
          msg: isLate
            ? 'the process goes on, after something that is no JavaScript'
            : 'nothing else of this process has run for as long as loopStallMsMax says',
        })
        session.post('Debugger.resume', () => session.disconnect())
      },
    )
  })
  session.post('Debugger.enable', () => session.post('Debugger.pause'))
}

/** The log's own lines wait for the loop that does not turn, so this one goes out by itself. */
function say(line: object): void {
  try {
    writeSync(2, `${JSON.stringify({ time: Date.now(), stallMsMax, ...line })}\n`)
  } catch {
    // nobody reads
  }
}

const FRAMES_MAX = 12
/** A loop of JavaScript answers at once; so long, milliseconds, on a machine that has much else to do. */
const ANSWER_MS = 2_000

import { fileURLToPath } from 'node:url'

// Where in the code a query was begun: it says at once which of twenty inserts nobody executed. To take down a place
// costs as much as to build and run an insert, so it is done where that does not matter, and for a while in a process
// where a query was found that nobody executed: when the same happens again, as with the next try of an event, its
// place is told.

let isAlwaysNoted = false
let leftToNote = 0

/**
 * From here on, each query that handlers begin in this process is taken down with its place. For development and tests.
 */
export function notePlaces(): void {
  isAlwaysNoted = true
}

/** A query was found that nobody executed. */
export function notePlacesForAWhile(): void {
  leftToNote = QUERIES_NOTED
}

/** Whether the place of a query that is begun now is to be taken down. */
export function isPlaceNoted(): boolean {
  return isAlwaysNoted || (leftToNote > 0 && leftToNote-- > 0)
}

/** Where `below`, which is under way, was called. The stack is not written out before somebody asks where that was. */
export function takePlace(below: (...args: never[]) => unknown): Place {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = FRAMES_MAX
  const place: { stack?: string } = {}
  Error.captureStackTrace(place, below)
  Error.stackTraceLimit = stackTraceLimit
  return place
}

export interface Place {
  readonly stack?: string
}

/** The place as `orders.ts:12:3` with its folders; undefined if none of the stack is of the code of a service. */
export function describePlace({ stack = '' }: Place): string | undefined {
  for (const line of stack.split('\n').slice(1)) {
    const at = /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*:\d+:\d+)\)?$/.exec(line)?.[1]
    if (at !== undefined && !at.includes('node_modules') && !at.startsWith(own))
      return at.startsWith('file:') ? toPath(at) : at
  }
  return undefined
}

function toPath(at: string): string {
  const [, url = at, position = ''] = /^(.*?)(:\d+:\d+)$/.exec(at) ?? []
  return fileURLToPath(url) + position
}

/** Of this package's own files, among which this one lies. */
const own = new URL('.', import.meta.url).href
/** What looks after builders takes some four, and a plugin or a function of the service between may take the rest. */
const FRAMES_MAX = 8
const QUERIES_NOTED = 10_000

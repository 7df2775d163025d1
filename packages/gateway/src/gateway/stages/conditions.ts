import { AtollError } from '@atoll/host'
import { versionOf } from './etag.ts'

// If-Match and If-None-Match, as RFC 9110 § 13.1 has them.

/** One entity tag of a list. */
interface Tag {
  readonly isWeak: boolean
  /** What stands between its quotes. */
  readonly opaque: string
}

/** `*`, or the tags that are listed. */
export type Condition = '*' | readonly Tag[]

/**
 * Reads a condition; undefined if there is none. MALFORMED for anything else: a condition that is not understood must
 * not be passed over.
 */
export function readCondition(name: 'If-Match' | 'If-None-Match', header: string | undefined): Condition | undefined {
  const sent = header === undefined ? undefined : withoutEmptyEnds(header)
  if (sent === undefined || sent === '*') return sent
  const tags: Tag[] = []
  const tag = /[, \t]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)/y
  while (tag.lastIndex < sent.length) {
    const found = tag.exec(sent)
    if (!found || tags.length === TAGS_MAX)
      throw new AtollError('MALFORMED', `${name} must be *, or a list of at most ${TAGS_MAX} tags in double quotes`)
    tags.push({ isWeak: found[1] !== undefined, opaque: found[2]! }) // the pattern has it
  }
  if (tags.length === 0) throw new AtollError('MALFORMED', `${name} is empty`)
  return tags
}

/**
 * A list without the empty elements at its ends. By index, since a pattern that ends in `+$` looks at a run of them
 * again from each of its characters.
 */
function withoutEmptyEnds(list: string): string {
  let [start, end] = [0, list.length]
  while (start < end && separators.includes(list[start]!)) start++ // within the list, as below
  while (end > start && separators.includes(list[end - 1]!)) end--
  return list.slice(start, end)
}

/**
 * If-None-Match of a command: `*`, for what is to be new. Whether a version is *not* there is a question for queries.
 */
export function readIfNew(header: string | undefined): '*' | undefined {
  const condition = readCondition('If-None-Match', header)
  if (condition === undefined || condition === '*') return condition
  throw new AtollError(
    'MALFORMED',
    'a command takes only If-None-Match: *, to create something new; to change a version, send If-Match',
  )
}

/** Whether If-None-Match has the tag of what is there: weak ones count too. */
export function isListed(condition: Condition, etag: string): boolean {
  return condition === '*' || condition.some(({ opaque }) => `"${opaque}"` === etag)
}

/**
 * The versions that If-Match asks for; undefined for any. A weak tag matches nothing there; nor does `"*"`, which
 * handlers would take for any.
 */
export function versionsOf(condition: Condition): readonly string[] | undefined {
  return condition === '*'
    ? undefined
    : condition
        .filter(({ isWeak }) => !isWeak)
        .map(({ opaque }) => versionOf(opaque))
        .filter((version) => version !== '*')
}

/**
 * Runs a command under If-Match. A handler is given one version, or `*` for any, and says which one is present if that
 * is another: if the client listed that one too, or any, the command is run again with it. It had no effect before.
 */
export async function underIfMatch<T>(
  condition: Condition | undefined,
  run: (ifMatch: string | undefined) => Promise<T>,
): Promise<T> {
  if (condition === undefined) return run(undefined)
  const listed = versionsOf(condition)
  let version: string | undefined = listed ? listed[0] : '*'
  if (version === undefined)
    throw new AtollError(
      'PRECONDITION_FAILED',
      'If-Match lists only weak tags (W/"…") and "*", which match nothing; send the ETag as it was received, without W/',
    )
  const tried = new Set<string>()
  for (;;) {
    try {
      return await run(version)
    } catch (thrown) {
      if (!(thrown instanceof AtollError) || thrown.code !== 'PRECONDITION_FAILED') throw thrown
      tried.add(version)
      version = nextVersion(listed, thrown.details['version'], tried)
      if (version === undefined) throw thrown
    }
  }
}

/** The version to run it with next: the present one, if it is known and wanted; otherwise any that is listed. */
function nextVersion(
  listed: readonly string[] | undefined,
  present: unknown,
  tried: ReadonlySet<string>,
): string | undefined {
  if (tried.size === TAGS_MAX) return undefined // somebody changes it all the time
  const wanted = listed ?? (present === undefined ? [] : [String(present)])
  return wanted.find((version) => !tried.has(version) && (present === undefined || version === String(present)))
}

const TAGS_MAX = 10
/**
 * Between the elements of a list there may be spaces and tabs, and elements with nothing in them (RFC 9110 § 5.6.1).
 */
const separators = ', \t'

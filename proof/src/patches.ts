import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'

/** A change to a module's text as it is loaded. Shipped code knows nothing of it. */
export interface Patch {
  /** Path from the root of the repository. */
  readonly file: string
  /**
   * Occurs exactly once in it, however it is laid out: white space, and a comma before a closing bracket, may be there
   * or not.
   */
  readonly find: string
  readonly replace: string
}

/** What a patch inserts where the process may be killed: see `crash/hook.ts`. */
export const reach = (name: string): string => `globalThis[Symbol.for('atoll.crash')](${JSON.stringify(name)});`

export const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The text with all patches of its file in it. Throws if a snippet is not there exactly once: the code has moved on,
 * the patch must too.
 */
export function applyPatches(text: string, file: string, patches: readonly Patch[]): string {
  let patched = text
  for (const patch of patches) {
    if (patch.file !== file) continue
    const places = [...patched.matchAll(toPattern(patch.find))]
    const [place] = places
    if (!place || places.length > 1) {
      throw new Error(
        `a patch looks for this in ${file} and found it ${places.length} times instead of once; bring the patch up to date (proof/src/crash/points.ts and sabotage.ts, proof/src/planted/bugs.ts):\n${patch.find}`,
      )
    }
    patched = patched.slice(0, place.index) + patch.replace.trim() + patched.slice(place.index + place[0].length)
  }
  return patched
}

/** Throws if one of them does not fit the code as it is, or leaves what is none. */
export function assertPatchesFit(patches: readonly Patch[]): void {
  for (const file of new Set(patches.map((patch) => patch.file)))
    stripTypeScriptTypes(applyPatches(readFileSync(root + file, 'utf8'), file, patches))
}

/** The words and signs of a snippet, with any white space between them. */
function toPattern(find: string): RegExp {
  const tokens = find.match(/[\w$#]+|[^\w$#\s]/g) ?? []
  const isWord = (token: string | undefined): boolean => /[\w$#]/.test(token ?? '')
  const parts = tokens.map((token, index) => {
    if (index === 0) return escape(token)
    const space = isWord(token) && isWord(tokens[index - 1]) ? '\\s+' : '\\s*'
    return `${space}${/[)\]}]/.test(token) ? ',?\\s*' : ''}${escape(token)}`
  })
  return new RegExp(parts.join(''), 'g')
}

function escape(token: string): string {
  return token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

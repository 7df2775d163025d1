import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A change to a module's text as it is loaded. Shipped code knows nothing of it. */
export interface Patch {
  /** Path from the root of the repository. */
  readonly file: string
  /** Occurs exactly once in it. */
  readonly find: string
  readonly replace: string
}

/** What a patch inserts where the process may be killed: see `crash/hook.ts`. */
export const reach = (name: string): string => `globalThis[Symbol.for('atoll.crash')](${JSON.stringify(name)});`

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** The text with all patches of its file in it. Throws if a snippet is not there exactly once: the code has moved on, the patch must too. */
export function applyPatches(text: string, file: string, patches: readonly Patch[]): string {
  let patched = text
  for (const patch of patches) {
    if (patch.file !== file) continue
    const parts = patched.split(patch.find)
    if (parts.length !== 2) {
      throw new Error(`a patch looks for this in ${file} and found it ${parts.length - 1} times instead of once; bring the patch up to date (proof/src/crash/points.ts and sabotage.ts, proof/src/planted/bugs.ts):\n${patch.find}`)
    }
    patched = parts.join(patch.replace)
  }
  return patched
}

/** Throws if one of them does not fit the code as it is. */
export function assertPatchesFit(patches: readonly Patch[]): void {
  for (const file of new Set(patches.map((patch) => patch.file))) applyPatches(readFileSync(root + file, 'utf8'), file, patches)
}

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { applyPatches, assertPatchesFit, root } from '../patches.ts'
import type { PlantedBug } from './bugs.ts'

/**
 * Plants a bug in the code that this thread loads from now on: the text of a module is changed as it is loaded, and the
 * module itself stays as it is. Throws as {@link assertPlantable} does.
 */
export function plant(bug: PlantedBug): void {
  assertPlantable(bug)
  const files = new Map(bug.changes.map(({ file }) => [root + file, file]))
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context)
      const file = url.startsWith('file:') ? files.get(fileURLToPath(url)) : undefined
      if (file === undefined) return loaded
      return { ...loaded, source: applyPatches(readFileSync(root + file, 'utf8'), file, bug.changes) }
    },
  })
}

/**
 * Throws unless each text that a bug changes is there exactly once. Whoever looks for a bug asks this first, in a
 * thread that loads nothing: one that only dies in the attempt looks as if it had noticed something.
 */
export function assertPlantable({ name, changes }: PlantedBug): void {
  if (changes.length === 0) throw new Error(`planted bug ${name} changes nothing; say what it changes`)
  try {
    assertPatchesFit(changes)
  } catch (error) {
    throw new Error(`planted bug ${name} cannot be planted`, { cause: error })
  }
}

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { PlantedBug } from './bugs.ts'

/**
 * Plants a bug in the code that this thread loads from now on: the text of a module is changed as it is loaded, and the module itself
 * stays as it is. Throws as {@link assertPlantable} does.
 */
export function plant(bug: PlantedBug): void {
  assertPlantable(bug)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const changes = bug.changes.filter(({ file }) => url === new URL(file, ROOT).href)
      if (changes.length === 0 || loaded.source === undefined || loaded.source === null) return loaded
      let source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString() // the text of a module is text or bytes
      if (source === '') source = readFileSync(fileURLToPath(url), 'utf8')
      for (const { from, to } of changes) source = source.replace(from, () => to)
      return { ...loaded, source }
    },
  })
}

/**
 * Throws unless each text that a bug changes is there exactly once. Whoever looks for a bug asks this first, in a thread that loads
 * nothing: one that only dies in the attempt looks as if it had noticed something.
 */
export function assertPlantable({ name, changes }: PlantedBug): void {
  if (changes.length === 0) throw new Error(`planted bug ${name} changes nothing; say what it changes`)
  for (const { file, from } of changes) {
    const count = readFileSync(new URL(file, ROOT), 'utf8').split(from).length - 1
    if (count !== 1) throw new Error(`planted bug ${name} cannot be planted: ${file} has its text ${count} times, and must have it once. The code has changed; change the bug`)
  }
}

const ROOT = new URL('../../../', import.meta.url)

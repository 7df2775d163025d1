import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { plantedBugs } from './bugs.ts'

/**
 * Plants a bug in the code that this thread loads from now on: the text of a module is changed as it is loaded, and the module itself
 * stays as it is. Throws if the text is not there exactly once, so that no bug is ever planted in vain.
 */
export function plant(name: string): void {
  const bug = plantedBugs.find((one) => one.name === name)
  if (!bug) throw new Error(`there is no planted bug ${name}; there are ${plantedBugs.map((one) => one.name).join(', ')}`)
  for (const { file, from } of bug.changes) {
    const count = readFileSync(new URL(file, ROOT), 'utf8').split(from).length - 1
    if (count !== 1) throw new Error(`planted bug ${name} cannot be planted: ${file} has its text ${count} times, and must have it once. The code has changed; change the bug`)
  }
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

const ROOT = new URL('../../../', import.meta.url)

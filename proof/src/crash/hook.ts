// Preloaded into a process that is to be killed, and into its threads, by way of NODE_OPTIONS. Patches modules as they
// are loaded, and kills the process when it passes the point named by CRASH_POINT for the CRASH_NTH time.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { applyPatches, assertPatchesFit, root, type Patch } from '../patches.ts'
import { patchesOf } from './plant.ts'

const { CRASH_POINT, CRASH_NTH, CRASH_PATCHES } = process.env
let left = Number(CRASH_NTH ?? 1)

Object.assign(globalThis, {
  [Symbol.for('atoll.crash')]: (name: string): void => {
    if (name !== CRASH_POINT || --left !== 0) return
    process.kill(process.pid, 'SIGKILL')
    for (;;); // a thread may live a moment longer than the signal was sent
  },
})

const patches: readonly Patch[] = patchesOf(CRASH_PATCHES ?? '')
try {
  assertPatchesFit(patches)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(3)
}
const files = new Map([...new Set(patches.map((patch) => patch.file))].map((file) => [root + file, file]))

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    const file = url.startsWith('file:') ? files.get(fileURLToPath(url)) : undefined
    if (file === undefined) return loaded
    return { ...loaded, source: applyPatches(readFileSync(root + file, 'utf8'), file, patches) }
  },
})

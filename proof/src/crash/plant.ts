import type { Patch } from '../patches.ts'
import { points } from './points.ts'
import { sabotages } from './sabotage.ts'

// What a process that is to be killed is told in its environment.

/** Where a process kills itself, and how it differs from the code as it is. */
export interface Plant {
  /** Name of a point, and at which passage of it. */
  readonly point?: { readonly name: string; readonly nth: number } | undefined
  /** Names of sabotages, and of variants. */
  readonly changes?: readonly string[] | undefined
}

/** Harmless changes that bring rare moments about more often. */
const variants: Readonly<Record<string, readonly Patch[]>> = {
  /** A checkpoint every 40 pages instead of 4,000, so that kills fall into checkpoints, too. */
  'small checkpoints': [
    {
      file: 'packages/sqlite/src/database.ts',
      find: 'const CHECKPOINT_PAGES = 4_000',
      replace: 'const CHECKPOINT_PAGES = 40',
    },
  ],
  /** SQLite's own bound on pages stands in for a full disk while the file named by CRASH_FULL is there. */
  'files that may not grow': [
    {
      file: 'packages/sqlite/src/database.ts',
      find: "database.pragma('foreign_keys = ON')",
      replace:
        "database.pragma('foreign_keys = ON'); if (!readonly) setInterval(() => { if (database.open && !database.inTransaction) database.pragma(`max_page_count = ${existsSync(process.env['CRASH_FULL'] ?? '') ? Number(database.pragma('page_count', { simple: true })) : 1e9}`) }, 5).unref()",
    },
  ],
  /** Whoever lost a lease commits all the same. Shown by `pause.test.ts`, not by kills. */
  'no fencing': [
    {
      file: 'packages/atoll/src/runtime/subscription/cursor-book.ts',
      find: 'if (lease?.epoch !== this.#epoch) throw this.#fenced()',
      replace: '',
    },
    {
      file: 'packages/atoll/src/runtime/subscription/cursor-book.ts',
      find: 'ahead, ...which])) !== 1) throw this.#fenced()',
      replace: 'ahead, ...which])) !== 1) {}',
    },
  ],
  /** Commits that return before they are on disk. Kills do not show that; the order of system calls does. */
  'synchronous=NORMAL': [
    {
      file: 'packages/sqlite/src/database.ts',
      find: "database.pragma('synchronous = FULL')",
      replace: "database.pragma('synchronous = NORMAL')",
    },
    { file: 'packages/sqlite/src/database.ts', find: 'const FULL = 2', replace: 'const FULL = 1' },
  ],
}

/** The environment that brings a plant about in a process and its threads. */
export function environmentOf({ point, changes = [] }: Plant): Record<string, string> {
  if (!point && changes.length === 0) return {}
  return {
    NODE_OPTIONS: `--import ${new URL('hook.ts', import.meta.url).href}`,
    CRASH_PATCHES: JSON.stringify([...(point ? [point.name] : []), ...changes]),
    ...(point ? { CRASH_POINT: point.name, CRASH_NTH: String(point.nth) } : {}),
  }
}

/** The patches that {@link environmentOf} names. A point that no list knows comes with one of the changes. */
export function patchesOf(json: string): Patch[] {
  const names = json === '' ? [] : (JSON.parse(json) as string[]) // written above
  return names.flatMap(
    (name) =>
      points.find((point) => point.name === name)?.patch ??
      sabotages.find((sabotage) => sabotage.name === name)?.patches ??
      variants[name] ??
      [],
  )
}

/** Every patch there is, by what it is for. */
export function allPatches(): ReadonlyMap<string, readonly Patch[]> {
  const named = [
    ...points.map((point) => [point.name, [point.patch]] as const),
    ...sabotages.map((one) => [one.name, one.patches] as const),
    ...Object.entries(variants),
  ]
  return new Map(named)
}

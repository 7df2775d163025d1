import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { logChapters } from '@atoll/log/conformance'
import { storeChapters } from '@atoll/store/conformance'

// `docs/reference/engines.md`: what each engine keeps of what a log or a store promises, by the last recorded run of
// the suites.

interface Chapter {
  readonly name: string
  readonly tests: readonly { readonly id: string; readonly promise: string }[]
}

/** Path of a test's names → whether it passed. */
type Outcomes = Readonly<Record<string, boolean>>

const recorded = fileURLToPath(new URL('../../engines/recorded/conformance.json', import.meta.url))

export function enginesPage(): string {
  const outcomes: Outcomes = existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {}
  return [
    '# Engines: what each keeps',
    '',
    'From the last recorded run of the conformance suites on real engines (`npm run test:engines -- conformance --record`). A suite chooses its tests by what a',
    'driver says that it can do; what is left out stands below each table, so that nothing is skipped unseen.',
    '',
    ...section('Logs', ', as a log', logChapters, outcomes),
    ...section('Stores', ', as stores', storeChapters, outcomes),
  ].join('\n')
}

function section(title: string, suffix: string, chapters: readonly Chapter[], outcomes: Outcomes): string[] {
  const drivers = [
    ...new Set(
      Object.keys(outcomes).flatMap((path) =>
        path.includes(`${suffix} › `) ? [path.slice(0, path.indexOf(`${suffix} › `))] : [],
      ),
    ),
  ].sort()
  const byDriver = new Map(drivers.map((driver) => [driver, byId(`${driver}${suffix} › `, outcomes)]))
  const rows = chapters.map(
    ({ name, tests }) =>
      `| ${name} | ${drivers.map((driver) => cell(tests.map(({ id }) => byDriver.get(driver)!.get(id)))).join(' | ')} |`,
  )
  const exceptions = drivers.flatMap((driver) => exceptionsOf(driver, chapters, byDriver.get(driver)!))
  return [
    `## ${title}`,
    '',
    `| promises of | ${drivers.join(' | ')} |`,
    `|---|${drivers.map(() => '---|').join('')}`,
    ...rows,
    '',
    ...(exceptions.length > 0 ? exceptions : ['Every driver keeps every promise.']),
    '',
  ]
}

interface Result {
  readonly passed: boolean
  /** Why the promise is known not to be kept, if that is so. */
  readonly deviation: string | undefined
}

function byId(prefix: string, outcomes: Outcomes): Map<string, Result> {
  const results = new Map<string, Result>()
  for (const [path, passed] of Object.entries(outcomes)) {
    const id = path.startsWith(prefix) ? /\(([^()]+)\)$/.exec(path)?.[1] : undefined
    if (id !== undefined) results.set(id, { passed, deviation: /DEVIATION, (.*?): /.exec(path)?.[1] })
  }
  return results
}

function cell(results: readonly (Result | undefined)[]): string {
  const run = results.filter((result) => result !== undefined)
  const kept = run.filter(({ passed, deviation }) => passed && deviation === undefined).length
  return run.length === 0 ? '–' : `${kept} of ${run.length}`
}

function exceptionsOf(driver: string, chapters: readonly Chapter[], results: ReadonlyMap<string, Result>): string[] {
  const lines = chapters
    .flatMap(({ tests }) => tests)
    .flatMap(({ id, promise }) => {
      const result = results.get(id)
      if (!result) return [`- not tried on it: ${promise} (\`${id}\`)`]
      if (result.deviation !== undefined) return [`- not kept, ${result.deviation}: ${promise} (\`${id}\`)`]
      return result.passed ? [] : [`- **broken**: ${promise} (\`${id}\`)`]
    })
  return lines.length === 0 ? [] : [`### ${driver}`, '', ...lines, '']
}

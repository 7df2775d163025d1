// For authors of drivers: the promises of stores as tests, to be run against any driver with any test runner.

import { close } from './conformance/close.ts'
import { group } from './conformance/group.ts'
import type { StoreChapter, StoreHarness, StoreTest, TestRunner } from './conformance/harness.ts'
import { hooks } from './conformance/hooks.ts'
import { kysely } from './conformance/kysely.ts'
import { life } from './conformance/life.ts'
import { manifest } from './conformance/manifest.ts'
import { migrations } from './conformance/migrations.ts'
import { overload } from './conformance/overload.ts'
import { reader } from './conformance/reader.ts'
import { readers } from './conformance/readers.ts'
import { savepoints } from './conformance/savepoints.ts'
import { sending } from './conformance/sending.ts'
import { transactions } from './conformance/transactions.ts'
import { values } from './conformance/values.ts'
import { waiting } from './conformance/waiting.ts'

export type { StoreChapter, StoreHarness, StoreTest, StoreWorld, TestRunner } from './conformance/harness.ts'

/**
 * Every promise of stores, in the order in which they are best mended: the manifest first, for it chooses the others.
 */
export const storeChapters: readonly StoreChapter[] = [
  manifest,
  migrations,
  transactions,
  savepoints,
  sending,
  values,
  group,
  hooks,
  waiting,
  reader,
  readers,
  kysely,
  overload,
  life,
  close,
]

/** Declares the tests that fit the harness, each with a driver of its own. Throws if a deviation names no test. */
export function testStores(name: string, runner: TestRunner, harness: StoreHarness): void {
  const ids = new Set(storeChapters.flatMap((chapter) => chapter.tests.map((test) => test.id)))
  for (const id of Object.keys(harness.deviations ?? {})) {
    if (!ids.has(id)) throw new Error(`deviation '${id}' names no test of the suite`)
  }
  runner.describe(`${name}, as stores`, () => {
    for (const chapter of storeChapters) {
      const tests = chapter.tests.filter((test) => test.when?.(harness.capabilities) ?? true)
      if (tests.length > 0) runner.describe(chapter.name, () => tests.forEach((test) => declare(runner, harness, test)))
    }
  })
}

function declare(runner: TestRunner, harness: StoreHarness, test: StoreTest): void {
  const reason = harness.deviations?.[test.id]
  const name = `${test.promise} (${test.id})`
  if (reason === undefined) runner.it(name, () => runAlone(harness, test))
  else runner.it(`DEVIATION, ${reason}: ${name}`, () => assertDeviates(harness, test))
}

async function runAlone(harness: StoreHarness, test: StoreTest): Promise<void> {
  const world = await harness.open()
  try {
    await test.run(world.driver, harness)
  } finally {
    await world.dispose()
  }
}

async function assertDeviates(harness: StoreHarness, test: StoreTest): Promise<void> {
  const kept = await runAlone(harness, test).then(
    () => true,
    () => false,
  )
  if (kept) throw new Error(`the driver keeps this promise: delete '${test.id}' from its deviations`)
}

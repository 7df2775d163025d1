// For authors of drivers: the promises of a log as tests, to be run against any driver with any test runner.

import { append } from './conformance/append.ts'
import { away } from './conformance/away.ts'
import { bounds } from './conformance/bounds.ts'
import { close } from './conformance/close.ts'
import { concurrency } from './conformance/concurrency.ts'
import { content } from './conformance/content.ts'
import { divergence } from './conformance/divergence.ts'
import { durability } from './conformance/durability.ts'
import { gaps } from './conformance/gaps.ts'
import type { LogChapter, LogHarness, LogTest, TestRunner } from './conformance/harness.ts'
import { independence } from './conformance/independence.ts'
import { limits } from './conformance/limits.ts'
import { manifest } from './conformance/manifest.ts'
import { read } from './conformance/read.ts'
import { repeat } from './conformance/repeat.ts'
import { tail } from './conformance/tail.ts'
import { watch } from './conformance/watch.ts'

export type { FaultName, LogChapter, LogHarness, LogTest, LogWorld, TestRunner } from './conformance/harness.ts'

/**
 * Every promise of a log, in the order in which they are best mended: the manifest first, for it chooses the others.
 */
export const logChapters: readonly LogChapter[] = [
  manifest,
  append,
  repeat,
  gaps,
  divergence,
  read,
  tail,
  independence,
  concurrency,
  content,
  limits,
  bounds,
  watch,
  durability,
  away,
  close,
]

/** Declares the tests that fit the harness, each in a log of its own. Throws if a deviation names no test. */
export function testLog(name: string, runner: TestRunner, harness: LogHarness): void {
  const ids = new Set(logChapters.flatMap((chapter) => chapter.tests.map((test) => test.id)))
  for (const id of Object.keys(harness.deviations ?? {})) {
    if (!ids.has(id)) throw new Error(`deviation '${id}' names no test of the suite`)
  }
  runner.describe(`${name}, as a log`, () => {
    for (const chapter of logChapters) {
      const tests = chapter.tests.filter((test) => isFor(harness, test))
      if (tests.length > 0) runner.describe(chapter.name, () => tests.forEach((test) => declare(runner, harness, test)))
    }
  })
}

function isFor(harness: LogHarness, test: LogTest): boolean {
  return (
    (test.when?.(harness.capabilities) ?? true) &&
    (test.fault === undefined || harness.faults?.includes(test.fault) === true)
  )
}

function declare(runner: TestRunner, harness: LogHarness, test: LogTest): void {
  const reason = harness.deviations?.[test.id]
  const name = `${test.promise} (${test.id})`
  if (reason === undefined) runner.it(name, () => runAlone(harness, test))
  else runner.it(`DEVIATION, ${reason}: ${name}`, () => assertDeviates(harness, test))
}

async function runAlone(harness: LogHarness, test: LogTest): Promise<void> {
  const world = await harness.open(test.fault)
  try {
    await test.run(world, harness)
  } finally {
    await world.dispose()
  }
}

async function assertDeviates(harness: LogHarness, test: LogTest): Promise<void> {
  const kept = await runAlone(harness, test).then(
    () => true,
    () => false,
  )
  if (kept) throw new Error(`the driver keeps this promise: delete '${test.id}' from its deviations`)
}

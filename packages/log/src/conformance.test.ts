import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemoryHarness } from '../test/memory/harness.ts'
import { appendSaboteurs, manifestSaboteurs, repeatSaboteurs } from '../test/saboteurs/append.ts'
import { awaySaboteurs } from '../test/saboteurs/away.ts'
import { closeSaboteurs, concurrencySaboteurs, durabilitySaboteurs, watchSaboteurs } from '../test/saboteurs/life.ts'
import { independenceSaboteurs, readSaboteurs, tailSaboteurs } from '../test/saboteurs/read.ts'
import {
  boundsSaboteurs,
  contentSaboteurs,
  divergenceSaboteurs,
  gapSaboteurs,
  limitSaboteurs,
} from '../test/saboteurs/refusal.ts'
import { honest } from '../test/saboteurs/saboteur.ts'
import { logChapters, testLog, type LogHarness } from './conformance.ts'

const saboteurs = [
  ...manifestSaboteurs,
  ...appendSaboteurs,
  ...repeatSaboteurs,
  ...gapSaboteurs,
  ...divergenceSaboteurs,
  ...readSaboteurs,
  ...tailSaboteurs,
  ...independenceSaboteurs,
  ...concurrencySaboteurs,
  ...contentSaboteurs,
  ...limitSaboteurs,
  ...boundsSaboteurs,
  ...watchSaboteurs,
  ...durabilitySaboteurs,
  ...awaySaboteurs,
  ...closeSaboteurs,
]

/** Runs the suite with a test runner of its own. Answers the names of all tests and the ids of those that failed. */
async function runSuite(harness: LogHarness): Promise<{ names: string[]; failed: string[] }> {
  const tests: { name: string; body: () => Promise<void> }[] = []
  testLog('a log', { describe: (_name, body) => body(), it: (name, body) => tests.push({ name, body }) }, harness)
  const failed: string[] = []
  for (const { name, body } of tests) {
    await body().catch(() => failed.push(/\(([^()]*)\)$/.exec(name)?.[1] ?? name))
  }
  return { names: tests.map((test) => test.name), failed }
}

describe('the conformance suite of logs', () => {
  for (const saboteur of saboteurs) {
    it(`catches a log when ${saboteur.breaks}`, async () => {
      const { failed } = await runSuite(createMemoryHarness(saboteur.create, saboteur.declares))
      const missed = saboteur.caughtBy.filter((id) => !failed.includes(id))
      assert.deepEqual(missed, [], `these did not fail; ${failed.join(', ') || 'nothing'} did`)
    })
  }

  it('has no test that no saboteur fails', () => {
    const proven = new Set(saboteurs.flatMap((saboteur) => saboteur.caughtBy))
    const unproven = logChapters
      .flatMap((chapter) => chapter.tests.map((test) => test.id))
      .filter((id) => !proven.delete(id))
    assert.deepEqual(unproven, [])
    assert.deepEqual([...proven], [], 'saboteurs name tests that do not exist')
  })

  it('gives each test an id of its own', () => {
    const ids = logChapters.flatMap((chapter) => chapter.tests.map((test) => test.id))
    assert.deepEqual(ids, [...new Set(ids)])
  })

  it('passes a log that keeps every promise', async () => {
    assert.deepEqual((await runSuite(createMemoryHarness((storage) => honest(storage)))).failed, [])
  })

  it('shows a declared deviation with its reason, and passes while the promise is broken', async () => {
    const broken = gapSaboteurs.find((saboteur) => saboteur.caughtBy.includes('gap.unchecked'))!
    const harness = { ...createMemoryHarness(broken.create), deviations: { 'gap.unchecked': 'the engine compacts' } }
    const { names, failed } = await runSuite(harness)
    assert.deepEqual(failed, [])
    assert.ok(
      names.some((name) => name.startsWith('DEVIATION, the engine compacts') && name.endsWith('(gap.unchecked)')),
    )
  })

  it('fails a deviation that is none any more, and refuses one that names no test', async () => {
    const harness = createMemoryHarness((storage) => honest(storage))
    assert.deepEqual((await runSuite({ ...harness, deviations: { 'read.limit': 'once upon a time' } })).failed, [
      'read.limit',
    ])
    assert.throws(
      () => testLog('a log', { describe, it }, { ...harness, deviations: { 'read.limits': 'a typo' } }),
      /read\.limits/,
    )
  })
})

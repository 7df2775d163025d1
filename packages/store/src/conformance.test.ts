import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { groupSaboteurs, hookSaboteurs, waitingSaboteurs } from '../test/saboteurs/group.ts'
import {
  closeSaboteurs,
  lifeSaboteurs,
  overloadSaboteurs,
  readerSaboteurs,
  readersSaboteurs,
} from '../test/saboteurs/life.ts'
import { manifestSaboteurs, migrationSaboteurs } from '../test/saboteurs/migrations.ts'
import {
  kyselySaboteurs,
  savepointSaboteurs,
  transactionSaboteurs,
  valueSaboteurs,
} from '../test/saboteurs/transactions.ts'
import { createSqliteHarness } from '../test/sqlite-harness.ts'
import { storeChapters, testStores, type StoreHarness } from './conformance.ts'

const saboteurs = [
  ...manifestSaboteurs,
  ...migrationSaboteurs,
  ...transactionSaboteurs,
  ...savepointSaboteurs,
  ...valueSaboteurs,
  ...groupSaboteurs,
  ...hookSaboteurs,
  ...waitingSaboteurs,
  ...readerSaboteurs,
  ...readersSaboteurs,
  ...kyselySaboteurs,
  ...overloadSaboteurs,
  ...lifeSaboteurs,
  ...closeSaboteurs,
]

/**
 * Runs those tests of the suite that are asked for with a test runner of its own. Answers their names and the ids of
 * those that failed.
 */
async function runSuite(
  harness: StoreHarness,
  isAsked: (id: string) => boolean = () => true,
): Promise<{ names: string[]; failed: string[] }> {
  const tests: { id: string; name: string; body: () => Promise<void> }[] = []
  const collect = (name: string, body: () => Promise<void>): unknown =>
    tests.push({ id: /\(([^()]*)\)$/.exec(name)?.[1] ?? name, name, body })
  testStores('stores', { describe: (_name, body) => body(), it: collect }, harness)
  const failed: string[] = []
  for (const { id, body } of tests.filter((test) => isAsked(test.id))) await body().catch(() => failed.push(id))
  return { names: tests.map((test) => test.name), failed }
}

describe('the conformance suite of stores', () => {
  for (const saboteur of saboteurs) {
    it(`catches stores when ${saboteur.breaks}`, async () => {
      const { failed } = await runSuite(createSqliteHarness(saboteur.kind ?? 'memory', saboteur.spoil), (id) =>
        saboteur.caughtBy.includes(id),
      )
      assert.deepEqual(failed.sort(), [...saboteur.caughtBy].sort())
    })
  }

  it('has no test that no saboteur fails', () => {
    const proven = new Set(saboteurs.flatMap((saboteur) => saboteur.caughtBy))
    const unproven = storeChapters
      .flatMap((chapter) => chapter.tests.map((test) => test.id))
      .filter((id) => !proven.delete(id))
    assert.deepEqual(unproven, [])
    assert.deepEqual([...proven], [], 'saboteurs name tests that do not exist')
  })

  it('passes stores that keep every promise', async () => {
    assert.deepEqual((await runSuite(createSqliteHarness('memory'))).failed, [])
    assert.deepEqual((await runSuite(createSqliteHarness('kept-in-memory'))).failed, [])
    assert.deepEqual((await runSuite(createSqliteHarness('files'))).failed, [])
  })

  it('gives each test an id of its own', () => {
    const ids = storeChapters.flatMap((chapter) => chapter.tests.map((test) => test.id))
    assert.deepEqual(ids, [...new Set(ids)])
  })

  it('shows a declared deviation with its reason, and passes while the promise is broken', async () => {
    const broken = hookSaboteurs.find((saboteur) => saboteur.caughtBy.includes('hook.keys'))!
    const harness = {
      ...createSqliteHarness('memory', broken.spoil),
      deviations: { 'hook.keys': 'the engine has one hook' },
    }
    const { names, failed } = await runSuite(harness, (id) => id === 'hook.keys')
    assert.deepEqual(failed, [])
    assert.ok(
      names.some((name) => name.startsWith('DEVIATION, the engine has one hook') && name.endsWith('(hook.keys)')),
    )
  })

  it('fails a deviation that is none any more, and refuses one that names no test', async () => {
    const harness = createSqliteHarness('memory')
    const kept = { ...harness, deviations: { 'tx.result': 'once upon a time' } }
    assert.deepEqual((await runSuite(kept, (id) => id === 'tx.result')).failed, ['tx.result'])
    assert.throws(
      () => testStores('stores', { describe, it }, { ...harness, deviations: { 'tx.results': 'a typo' } }),
      /tx\.results/,
    )
  })
})

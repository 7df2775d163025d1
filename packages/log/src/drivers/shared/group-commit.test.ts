import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createManualHost } from '../../../test/manual-host.ts'
import { assertRefused, createRecords } from '../../conformance/records.ts'
import { GroupCommit, type Append } from './group-commit.ts'

/** Keeps the commits that were begun, for the test to end. */
function createWorld(commitRecordsMax?: number) {
  const host = createManualHost()
  const commits: { readonly records: number[]; end(failure?: AtollError): void }[] = []
  const commit = (appends: readonly Append[]): Promise<AtollError | undefined> =>
    new Promise((resolve) => {
      const end = (failure?: AtollError): void => {
        for (const append of appends)
          if (failure) append.reject(failure)
          else append.resolve()
        resolve(failure)
      }
      commits.push({ records: appends.map(({ records }) => records.length), end })
    })
  return { host, commits, group: new GroupCommit(host, commit, commitRecordsMax) }
}

describe('appends that become durable together', () => {
  it('go into one commit if they come in one turn, or while another is under way', async () => {
    const { host, commits, group } = createWorld()
    const appends = [1, 2].map((count) => group.append('orders', createRecords('orders', 0, 1, count)))
    await host.pass(0)
    appends.push(...[3, 4].map((count) => group.append('orders', createRecords('orders', 0, 1, count))))
    await host.pass(0)
    assert.deepEqual(
      commits.map(({ records }) => records),
      [[1, 2]],
    )
    commits[0]!.end()
    await host.pass(0)
    assert.deepEqual(
      commits.map(({ records }) => records),
      [
        [1, 2],
        [3, 4],
      ],
    )
    commits[1]!.end()
    await Promise.all(appends)
  })

  it('are spread over commits of so many records at the most; one append alone may have more', async () => {
    const { host, commits, group } = createWorld(5)
    const appends = [3, 2, 9, 1].map((count) => group.append('orders', createRecords('orders', 0, 1, count)))
    for (let at = 0; at < 3; at++) {
      await host.pass(0)
      commits[at]!.end()
    }
    await Promise.all(appends)
    assert.deepEqual(
      commits.map(({ records }) => records),
      [[3, 2], [9], [1]],
    )
  })

  it('are refused together if the engine could not be reached, and the next one finds out anew', async () => {
    const { host, commits, group } = createWorld()
    const first = assertRefused('UNAVAILABLE', group.append('orders', createRecords('orders', 0, 1, 1)))
    await host.pass(0)
    const waiting = assertRefused('UNAVAILABLE', group.append('orders', createRecords('orders', 0, 2, 2)))
    commits[0]!.end(new AtollError('UNAVAILABLE', 'it went away'))
    await Promise.all([first, waiting])
    const next = group.append('orders', createRecords('orders', 0, 1, 1))
    await host.pass(0)
    commits[1]!.end()
    await next
  })

  it('are refused if they wait when everything is given up; those being committed are not', async () => {
    const { host, commits, group } = createWorld()
    const under = group.append('orders', createRecords('orders', 0, 1, 1))
    await host.pass(0)
    const waiting = assertRefused('UNAVAILABLE', group.append('orders', createRecords('orders', 0, 2, 2)))
    group.abandon()
    await waiting
    commits[0]!.end()
    await under
  })
})

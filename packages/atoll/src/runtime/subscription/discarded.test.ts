import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Store } from '@atoll/store/driver'
import { changedWrites, inWorld } from '../../../test/world.ts'
import { runtimeMigrations } from '../schema.ts'
import { forgetDiscarded } from './discarded.ts'

const count = async (store: Store, table: string): Promise<number> =>
  (await store.reader.get<{ count: number }>({ sql: `SELECT count(*) AS count FROM ${table}` }))!.count

describe('letters that were discarded long ago', () => {
  for (const [whose, keepsNumbers] of [
    ['handlers', false],
    ['a projection', true],
  ] as const) {
    it(`are let go in commits of a bounded size, those of ${whose}, also if all were discarded in one moment`, () =>
      inWorld(async (world) => {
        const left: number[] = []
        const stores = changedWrites(world.stores, async (store, work) => {
          const result = await store.write(work)
          left.push(await count(store, 'atoll_discarded'))
          return result
        })
        const store = await stores.open('audit', runtimeMigrations)
        await store.write((tx) =>
          tx.runEach(
            {
              sql: `INSERT INTO atoll_discarded VALUES ('audit', 'book', ?, ?, ?, 'ada', 'paid', 'ann', 1, 0, '', '', '', '', '', 'amount.noted', 1, 0, '{}', '', '')`,
            },
            Array.from({ length: 2_500 }, (_, nth) => [nth % 3, nth, nth < 2_400 ? 1_000 : 9_000]),
          ),
        )
        await forgetDiscarded(store, 'audit', 5_000, { keepsNumbers })
        assert.deepEqual(left, [2_500, 1_500, 500, 100, 100])
        assert.deepEqual(await store.reader.all({ sql: 'SELECT source, type, count FROM atoll_discarded_counts' }), [
          { source: 'book', type: 'amount.noted', count: 2_400 },
        ])
        assert.equal(await count(store, 'atoll_discarded_numbers'), keepsNumbers ? 2_400 : 0)
      }))
  }
})

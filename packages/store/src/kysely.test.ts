import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Kysely, QueryCreator, sql } from 'kysely'
import { inSqliteWorld } from '../test/sqlite-world.ts'
import { kyselyFor } from './index.ts'

describe('the db of a handler', () => {
  it('is a Kysely to whoever asks, in every member', () =>
    inSqliteWorld({}, async (world) => {
      const { reader } = await world.open()
      const db = kyselyFor<object>(reader)
      assert.ok(db instanceof Kysely)
      const own = Object.getPrototypeOf(db) as object
      const missing = [QueryCreator, Kysely]
        .flatMap(({ prototype }) => Reflect.ownKeys(prototype))
        .filter((name) => !Object.hasOwn(own, name))
      assert.deepEqual(missing, []) // what is not handed on would look for private fields that it does not have
      assert.equal(db.isTransaction, false)
      assert.deepEqual((await sql<{ one: number }>`SELECT 1 AS one`.execute(db)).rows, [{ one: 1 }])
      assert.deepEqual(await db.selectNoFrom(db.fn.count<number>(sql.lit(1)).as('one')).execute(), [{ one: 1 }])
    }))
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { fixtureShop, inFleet } from '../../test/fleet.ts'

describe('atoll doctor, on PostgreSQL', () => {
  it('says how many connections the stores of the whole system take, before there are any', () =>
    withDoctor(async (doctor) => {
      assert.match(
        await doctor(),
        /3 stores in one process take up to 31, 9 of them while a projection is rebuilt, .*\n(.*\n)*.*the log takes up to 5 in each process/,
      )
    }))

  it('knows that stores and log are on one server, and says once what is so there', () =>
    withDoctor(async (doctor) => {
      const text = await doctor()
      assert.match(text, /log: PostgreSQL .*\n {2}\d+ as above\n/)
      assert.equal(text.split('✓ postgres.fsync').length, 2)
    }))
})

/** Runs `work` with the doctor of a system of two services and a projection, whose log is beside its stores. */
async function withDoctor(work: (doctor: () => Promise<string>) => Promise<void>): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  try {
    await inFleet(async ({ run, folder }) => {
      writeFileSync(
        join(folder, 'atoll.json'),
        JSON.stringify({
          system: fixtureShop,
          store: { url: engineUrl('postgres') },
          log: { url: engineUrl('postgres') },
        }),
      )
      await work(async () => (await run(['doctor'], { FIXTURE_NAME: system })).out)
    })
  } finally {
    const pool = openPool({
      url: engineUrl('postgres'),
      host: createNodeHost(),
      applicationName: 'tests',
      connectionsMax: 1,
    })
    await pool.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(`atoll_log_${system}`)} CASCADE`)
    await pool.close()
  }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { silentLogger } from '@atoll/host'
import { createMemoryLog } from '@atoll/log/memory'
import { sqlStore } from '@atoll/store'
import { command, contract, event, projection, service, system } from 'atoll'
import { startSystem } from 'atoll/runtime'
import { sql, type Kysely } from 'kysely'
import { z } from 'zod'
import { onPostgres } from './postgres.ts'

/** What sounds like trouble of the server: out of memory, over a limit of its own, a full disk, an error of a file. */
const states = ['53200', '53400', '53100', '58030']
const raise = `CREATE FUNCTION raise(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = code; END $$`

const Asked = z.object({ state: z.string() })
const asked = event('statement.asked', { version: 1, key: ({ state }) => state, data: Asked })
const asking = contract('asking', { events: [asked], ask: command({ input: Asked, output: z.void() }) })
const store = (table: string) =>
  sqlStore<{ done: { state: string }; pages: { state: string } }>({
    migrations: { '0001': `CREATE TABLE ${table} (state TEXT)`, '0002': { postgres: raise, sqlite: '' } },
  })

describe('an event at whose statement PostgreSQL fails as if it were in trouble', () => {
  it('holds up nobody but its key, uses up no try, and is handled once its statement can be carried out', () =>
    onPostgres(async ({ host, stores }) => {
      const log = createMemoryLog()
      let isMended = false
      const handle = async (
        db: Kysely<{ done: { state: string }; pages: { state: string } }>,
        table: 'done' | 'pages',
        state: string,
      ): Promise<void> => {
        if (states.includes(state) && !isMended) await sql`SELECT raise(${state})`.execute(db)
        await db.insertInto(table).values({ state }).execute()
      }
      const pages = projection('pages', {
        store: store('pages'),
        subscribe: ({ project }) => [project(asked, ({ data }, { db }) => handle(db, 'pages', data.state))],
      })
      const services = [
        service(asking, {
          store: sqlStore({ migrations: {} }),
          handlers: { ask: ({ input, tx }) => tx(({ emit }) => emit(asked, input)) },
        }),
        service(contract('doing', {}), {
          store: store('done'),
          handlers: {},
          projections: [pages],
          subscribe: ({ on }) => [
            on(asked, ({ event: { data }, tx }) => tx(({ db }) => handle(db, 'done', data.state))),
          ],
        }),
      ]
      const running = await startSystem(
        system('statements', { services }),
        { host, log, logger: silentLogger, stores },
        { partitions: 1, attemptsMax: 2, retryDelayMs: 10, retryDelayMsMax: 500 },
      )
      const handled = async (): Promise<number[]> =>
        (await running.admin.ledger()).filter(({ event: type }) => type === 'statement.asked').map((row) => row.handled)
      const haveHandled = (count: number): Promise<void> =>
        until(`both have handled ${count}`, async () => (await handled()).every((one) => one >= count))
      try {
        for (const state of [...states, 'fine']) await running.dispatch('asking.ask', { input: { state } })
        await haveHandled(1)
        assert.deepEqual(await handled(), [1, 1])
        assert.deepEqual(await running.admin.deadLetters(), [])
        isMended = true
        await haveHandled(states.length + 1)
      } finally {
        await running.stop()
        await log.close()
      }
    }))
})

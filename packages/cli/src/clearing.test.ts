import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDatabase } from '@atoll/sqlite'
import type { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { createPostgresStores } from '@atoll/store/postgres'
import { createNodeHost } from '@atoll/host/node'
import { command, contract, event, projection, service, system } from 'atoll'
import { z } from 'zod'
import { noteSystem } from './note.ts'
import { start } from './start.ts'

const Note = z.object({ id: z.string() })

/** A system of one service of that name, with one projection. */
function townWith(name: string, town = 'town') {
  const taken = event(`${name}.taken`, { version: 1, key: ({ id }) => id, data: Note })
  const notes = contract(name, { events: [taken], take: command({ input: Note, output: z.void() }) })
  const store = sqlStore<{ rows: { id: string } }>({
    migrations: { '0001-rows': 'CREATE TABLE rows (id TEXT PRIMARY KEY)' },
  })
  const rows = projection('rows', {
    store,
    subscribe: ({ project }) => [project(taken, ({ data }, { db }) => db.insertInto('rows').values(data).execute())],
  })
  return system(town, {
    services: [
      service(notes, {
        projections: [rows],
        handlers: {
          take: async ({ input, tx }) => {
            await tx(({ emit }) => emit(taken, input))
          },
        },
      }),
    ],
  })
}

async function inFolder(work: (data: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-clearing-'))
  try {
    await work(join(folder, 'data'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('a new beginning (--fresh)', () => {
  for (const name of ['lockers', 'logs', 'control', 'system', 'seeding', 'lock-smith']) {
    it(`deletes all that a service called ${name} had, however often`, () =>
      inFolder(async (data) => {
        for (let nth = 0; nth < 2; nth++) {
          const { running, stop } = await start(townWith(name), { data, fresh: nth > 0 })
          await running.dispatch(`${name}.take`, { input: { id: 'a' } })
          await running.quiet()
          const [row] = await running.admin.ledger()
          await stop()
          assert.deepEqual([row?.published, row?.handled], [1, 1])
        }
      }))
  }

  it('deletes nothing that another system had there, whether or not it is asked for', () =>
    inFolder(async (data) => {
      await (await start(townWith('notes'), { data })).stop()
      noteSystem(data, { module: 'town.ts', system: 'town' })
      const before = readdirSync(data)
      for (const fresh of [true, false]) {
        await assert.rejects(start(townWith('letters', 'village'), { data, fresh }), (error: AtollError) => {
          assert.deepEqual(
            [
              error.code,
              /holds the data of system town, and this is system village; name another folder/.test(error.reason),
              /fresh/.test(error.reason),
            ],
            ['COMMAND_USAGE', true, false],
          )
          return true
        })
        assert.deepEqual(readdirSync(data), before)
      }
    }))

  it('deletes what services had there that the system has no more, and copies that only their content tells to be ours', () =>
    inFolder(async (data) => {
      await (await start(townWith('notes'), { data })).stop()
      noteSystem(data, { module: 'town.ts', system: 'town' })
      copyFileSync(join(data, 'notes.db'), join(data, 'notes-of-yesterday.db'))
      await (await start(townWith('letters'), { data, fresh: true })).stop()
      assert.deepEqual(
        readdirSync(data)
          .filter((name) => name.endsWith('.db'))
          .sort(),
        ['letters.db', 'letters.rows.1.db', 'log.db'],
      )
    }))

  it('deletes what a process left that was killed while it wrote a small file', () =>
    inFolder(async (data) => {
      await (await start(townWith('notes'), { data })).stop()
      const left = ['system.json.next', 'control.json.next']
      for (const name of left) writeFileSync(join(data, name), '')
      await (await start(townWith('notes'), { data, fresh: true })).stop()
      assert.deepEqual(
        readdirSync(data).filter((name) => left.includes(name)),
        [],
      )
    }))

  it('deletes nothing where there is a file that is not ours, whatever it is called', () =>
    inFolder(async (data) => {
      await (await start(townWith('notes'), { data })).stop()
      const before = readdirSync(data)
      const strangers: Readonly<Record<string, () => void>> = {
        'photos.db': () => openDatabase(join(data, 'photos.db'), { applicationId: 7, formatVersion: 1 }).close(),
        'lock.txt': () => writeFileSync(join(data, 'lock.txt'), 'a lock'),
        'empty.db': () => writeFileSync(join(data, 'empty.db'), ''),
        'photos.db-wal': () => writeFileSync(join(data, 'photos.db-wal'), 'a wave'),
      }
      for (const [name, make] of Object.entries(strangers)) {
        make()
        await assert.rejects(start(townWith('notes'), { data, fresh: true }), {
          code: 'COMMAND_USAGE',
          message: new RegExp(`holds ${name}, which is not Atoll's; nothing was deleted`),
        })
        rmSync(join(data, name))
        assert.deepEqual(readdirSync(data), before)
      }
    }))
})

describe('a system that moves to PostgreSQL', () => {
  it('has no name that it would have to change: what no engine could take was refused where it was defined', async () => {
    const longest = { system: 'a'.repeat(31), service: 'b'.repeat(31) }
    system(longest.system, { services: [service(contract(longest.service, {}), { handlers: {} })] })
    const stores = createPostgresStores({
      url: 'postgres://nobody@127.0.0.1:1/nothing',
      system: longest.system,
      host: createNodeHost(),
    })
    try {
      // A name that it could not take would be refused before it looks for a server.
      for (const name of [longest.service, `${'b'.repeat(20)}.pages.1`.slice(0, 31)])
        await assert.rejects(stores.exists(name), { code: 'UNAVAILABLE' })
      await assert.rejects(stores.exists(`${longest.service}b`), { code: 'DEFINITION_INVALID' })
    } finally {
      await stores.close()
    }
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { command, contract, service, system } from 'atoll'
import { z } from 'zod'
import { world } from './world.ts'

describe('a query that a handler forgets to execute, in a world', () => {
  it('is told with its place in the code, the first time', async () => {
    const notes = contract('notes', { take: command({ input: z.object({}), output: z.void() }) })
    const store = sqlStore<{ rows: { id: string } }>({ migrations: { '0001-rows': 'CREATE TABLE rows (id TEXT)' } })
    const forgetful = service(notes, {
      store,
      handlers: { take: ({ tx }) => tx(async ({ db }) => void (await db.insertInto('rows').values({ id: 'a' }))) },
    })
    await using town = await world(system('town', { services: [forgetful] }))
    await assert.rejects(town.call(notes.take, {}), {
      code: 'NOT_EXECUTED',
      message: /db\.insertInto\('rows'\) at .*places\.test\.ts:\d+:\d+ was built/,
    })
  })
})

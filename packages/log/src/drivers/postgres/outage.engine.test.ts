import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { startServer, type Server } from '@atoll/engines/postgres'
import { pause, until } from '@atoll/engines/waiting'
import { createPostgresWorld, type PostgresWorld } from '../../../test/postgres/harness.ts'
import { assertNumbers, assertRefused, createRecords, numbersTo, readNumbers } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'

// What every log does when its engine is away is in the suite.

let server: Server
before(async () => {
  server = await startServer()
})
after(() => server.dispose())

async function withServer(body: (world: PostgresWorld) => Promise<void>): Promise<void> {
  const world = createPostgresWorld({ callMs: 1_000, connectMs: 500 }, server.url)
  try {
    await body(world)
  } finally {
    await world.dispose()
  }
}

const works = (log: Log): Promise<boolean> =>
  log.tail('orders', 0).then(
    () => true,
    () => false,
  )

/**
 * Appends one record after the other until it is told to stop; answers how many were acknowledged. A relay does the
 * same: what failed is appended again.
 */
function startAppending(log: Log): () => Promise<number> {
  let stopped = false
  const appending = (async () => {
    let last = 0
    while (!stopped) {
      const end = await log.append('orders', createRecords('orders', 0, last + 1, last + 3)).then(
        () => 'acknowledged',
        (error: unknown) => AtollError.from(error).code,
      )
      if (end === 'acknowledged') last += 3
      else if (end === 'UNAVAILABLE') await pause()
      else throw new Error(`an append ended with ${end}`)
    }
    return last
  })()
  return () => {
    stopped = true
    return appending
  }
}

describe('a PostgreSQL log', () => {
  it('says that there is no such database', () =>
    withServer(async (world) => {
      const log = await world.open({}, { url: world.url.replace(/\/postgres$/, '/nowhere') })
      const { message } = await assertRefused('UNAVAILABLE', log.read('orders', 0, null, 10))
      assert.match(message, /no such database/)
    }))

  it('outlives connections that the server ends one by one', () =>
    withServer(async (world) => {
      const log = await world.open()
      const stop = startAppending(log)
      for (let kill = 0; kill < 30; kill++) {
        await world.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
          `atoll log of ${world.system}`,
        ])
        await pause(10)
      }
      await until('the log to work', () => works(log))
      const acknowledged = await stop()
      const numbers = await readNumbers(log, 'orders', 0)
      assertNumbers(numbers, numbersTo(numbers.length))
      assert.ok(numbers.length >= acknowledged)
    }))
})

describe('a PostgreSQL log whose tables are dropped', () => {
  it('makes them anew, and tells readers and writers with LOG_GAP that their records are lost', () =>
    withServer(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 3))
      await world.pool.query(`DROP SCHEMA "${world.schema}" CASCADE`)
      await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, 4, 4)))
      await until('the log to work', () => works(log))
      await assertRefused('LOG_GAP', log.read('orders', 0, '3', 10))
      await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 4, 4)))
    }))
})

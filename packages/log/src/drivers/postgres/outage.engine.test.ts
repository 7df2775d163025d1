import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AtollError, type LogFields } from '@atoll/host'
import { startProxy } from '@atoll/engines'
import { startServer, type Server } from '@atoll/engines/postgres'
import { createPostgresWorld, pause, until, type PostgresWorld } from '../../../test/postgres/harness.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'

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

/** Asserts that every method says so, and soon. */
async function assertUnavailable(log: Log, withinMs: number): Promise<void> {
  const start = performance.now()
  const calls = [
    log.append('orders', [createRecord('orders', 0, 1)]),
    log.append('payments', [createRecord('payments', 0, 1)]),
    log.read('orders', 0, null, 10),
    log.tail('orders', 0),
    log.examine(),
  ]
  await Promise.all(calls.map((call) => assertRefused('UNAVAILABLE', call)))
  assert.ok(performance.now() - start < withinMs, `it took ${performance.now() - start} ms`)
}

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

describe('a PostgreSQL log whose server is not there', () => {
  it('opens all the same, says so once, refuses at once, and works as soon as the server does', () =>
    withServer(async (world) => {
      await server.kill()
      const lines: string[] = []
      const logger = {
        info: (_: LogFields, message: string) => void lines.push(`info ${message}`),
        warn: (_: LogFields, message: string) => void lines.push(`warn ${message}`),
        error() {},
      }
      const log = await world.open({}, { logger })
      await assertUnavailable(log, 1_000)
      await pause(1_000) // for some attempts
      await server.start()
      await until('the log to work', () => works(log))
      await log.append('orders', createRecords('orders', 0, 1, 3))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.match(lines[0]!, /^warn PostgreSQL at 127\.0\.0\.1:\d+\/postgres cannot be reached/)
      assert.match(lines[1]!, /^info /)
    }))

  it('says what is wrong with credentials and with the name of a database, and never the password', () =>
    withServer(async (world) => {
      const wrong = [
        [world.url.replace(':atoll@', ':wrong-password@'), /credentials/],
        [world.url.replace(/\/postgres$/, '/nowhere'), /no such database/],
      ] as const
      for (const [url, what] of wrong) {
        const log = await world.open({}, { url })
        const error = await assertRefused('UNAVAILABLE', log.read('orders', 0, null, 10))
        assert.match(error.message, what)
        assert.ok(!error.message.includes('wrong-password'))
      }
    }))
})

describe('a PostgreSQL log whose server crashes', () => {
  it('has every acknowledged record, each once, and goes on by itself', () =>
    withServer(async (world) => {
      const log = await world.open()
      const watcher = await world.open()
      let told = 0
      watcher.watch('orders', () => told++)
      const stop = startAppending(log)
      for (let crash = 1; crash <= 3; crash++) {
        await until(
          'some appends',
          async () => ((await log.tail('orders', 0).catch(() => null))?.number ?? 0) > crash * 60,
        )
        await server.kill()
        await assertRefused('UNAVAILABLE', log.tail('orders', 0))
        await server.start()
        await until('the log to work', () => works(log))
      }
      const tail = (await log.tail('orders', 0))!.number
      await until('appends after the crash', async () => (await log.tail('orders', 0))!.number > tail)
      told = 0
      await until('hints after the crash', () => told > 0)
      const acknowledged = await stop()
      const numbers = await readNumbers(await world.open(), 'orders', 0)
      assertNumbers(numbers, numbersTo(numbers.length))
      assert.ok(numbers.length >= acknowledged && acknowledged > 180)
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

describe('a PostgreSQL log whose server is gone without a word', () => {
  it('says so within callMs, and works again by itself, with nothing lost or doubled', () =>
    withServer(async (world) => {
      const proxy = await startProxy({ target: server })
      const url = world.url.replace(`:${server.port}/`, `:${proxy.port}/`)
      const log = await world.open({}, { url })
      const stop = startAppending(log)
      await until('some appends', async () => ((await log.tail('orders', 0))?.number ?? 0) > 30)
      await proxy.silence()
      await assertUnavailable(log, 1_500)
      await assertUnavailable(log, 1_500)
      await proxy.pass()
      await until('the log to work', () => works(log))
      const tail = (await log.tail('orders', 0))!.number
      await until('more appends', async () => (await log.tail('orders', 0))!.number > tail)
      const acknowledged = await stop()
      const numbers = await readNumbers(log, 'orders', 0)
      assertNumbers(numbers, numbersTo(numbers.length))
      assert.ok(numbers.length >= acknowledged)
      await proxy.silence()
      const under = log.append('late', [createRecord('late', 0, 1)]).catch(() => 'rejected')
      const start = performance.now()
      await log.close()
      assert.ok(performance.now() - start < 4_000)
      assert.equal(await under, 'rejected')
      await proxy.close()
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

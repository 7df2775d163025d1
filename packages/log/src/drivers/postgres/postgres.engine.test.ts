import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { AtollError } from '@atoll/host'
import { quoteIdentifier } from '@atoll/postgres'
import { host, withPostgres, type PostgresWorld } from '../../../test/postgres/harness.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createPostgresLog } from '../../postgres.ts'

const tableOf = ({ schema }: PostgresWorld): string => `${quoteIdentifier(schema)}.records`

/** How many transactions wrote the records that are there. */
async function commitCount(world: PostgresWorld): Promise<number> {
  const { rows } = await world.pool.query<{ count: number }>(
    `SELECT count(DISTINCT xmin::text) AS count FROM ${tableOf(world)}`,
  )
  return rows[0]!.count // an aggregate answers one row
}

/** From now on each commit takes some milliseconds per record, each time others. */
async function slowCommits(world: PostgresWorld): Promise<void> {
  const slow = `${quoteIdentifier(world.schema)}.slow`
  await world.pool.query(
    `CREATE FUNCTION ${slow}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END'`,
  )
  await world.pool.query(
    `CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${tableOf(world)} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${slow}()`,
  )
}

/**
 * Appends until it is taken, as a relay does whose predecessor's appends may be on their way. Answers the last refusal
 * of another kind.
 */
async function appendStubbornly(log: Log, source: string, records: Parameters<Log['append']>[1]): Promise<string> {
  for (let tries = 0; tries < 2_000; tries++) {
    try {
      await log.append(source, records)
      return 'taken'
    } catch (error) {
      const { code } = AtollError.from(error)
      if (code !== 'LOG_GAP' && code !== 'UNAVAILABLE') return code
    }
  }
  throw new Error('an append that should have been taken in the end was not')
}

describe('a PostgreSQL log with many writers and slow commits', () => {
  it('never shows a number before those below it', () =>
    withPostgres({ connectionsMax: 2 }, async (world) => {
      const writers = await Promise.all(numbersTo(16).map(() => world.open()))
      const reader = await world.open()
      await slowCommits(world)
      let next = 1
      let writing = writers.length
      const write = async (log: Log): Promise<void> => {
        while (next <= 150) {
          const number = next++
          await appendStubbornly(
            log,
            'orders',
            [0, 1].map((partition) => createRecord('orders', partition, number)),
          )
        }
        writing--
      }
      const read = async (): Promise<void> => {
        for (let seen = 0; writing > 0;) {
          const tail = (await reader.tail('orders', 1))?.number ?? 0
          const numbers = await readNumbers(reader, 'orders', 1)
          assertNumbers(numbers, numbersTo(numbers.length))
          assert.ok(numbers.length >= tail && numbers.length >= seen)
          seen = numbers.length
        }
      }
      await Promise.all([...writers.map(write), read(), read()])
      for (const partition of [0, 1]) assertNumbers(await readNumbers(reader, 'orders', partition), numbersTo(150))
    }))

  it('takes one append for the same numbers, whole, and refuses all others with LOG_DIVERGED', () =>
    withPostgres({ connectionsMax: 2 }, async (world) => {
      const writers = await Promise.all(numbersTo(16).map(() => world.open()))
      await slowCommits(world)
      for (let last = 0; last < 16;) {
        // One record, or two, or three: where one writer has ended, another must not go on.
        const appends = writers.map((_, writer) =>
          numbersTo(1 + (writer % 3)).map((place) =>
            createRecord('orders', 0, last + place, { id: `${writer}/${last + place}` }),
          ),
        )
        const ends = await Promise.all(writers.map((log, writer) => appendStubbornly(log, 'orders', appends[writer]!)))
        const winner = ends.indexOf('taken')
        assert.equal(ends.filter((end) => end === 'LOG_DIVERGED').length, 15)
        const found = await readAll(writers[0]!, 'orders', 0, last === 0 ? null : String(last))
        assert.deepEqual(
          found.map(({ id }) => id),
          appends[winner]!.map(({ id }) => id),
        )
        last += found.length
      }
    }))

  it('takes the same events from many at the same time once, whatever the order of their partitions', () =>
    withPostgres({ connectionsMax: 2 }, async (world) => {
      const writers = await Promise.all(numbersTo(16).map(() => world.open()))
      await slowCommits(world)
      for (const first of [1, 3, 5]) {
        const records = numbersTo(6).flatMap((partition) => createRecords('orders', partition, first, first + 1))
        const ends = await Promise.all(
          writers.map((log, writer) =>
            appendStubbornly(
              log,
              'orders',
              writer % 2 ? records : [4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 6, 7].map((at) => records[at]!),
            ),
          ),
        )
        assert.deepEqual(new Set(ends), new Set(['taken']))
      }
      for (const partition of numbersTo(6))
        assertNumbers(await readNumbers(writers[0]!, 'orders', partition), numbersTo(6))
    }))

  it('notices what others appended since it last looked', () =>
    withPostgres({}, async (world) => {
      const [one, other] = [await world.open(), await world.open()]
      await one.append('orders', createRecords('orders', 0, 1, 3))
      await other.append('orders', createRecords('orders', 0, 2, 6))
      await one.append('orders', createRecords('orders', 0, 7, 7))
      await assertRefused('LOG_DIVERGED', other.append('orders', [createRecord('orders', 0, 7, { id: 'another' })]))
      await assertRefused('LOG_GAP', other.append('orders', [createRecord('orders', 0, 9)]))
      assertNumbers(await readNumbers(other, 'orders', 0), numbersTo(7))
    }))
})

describe('a PostgreSQL log', () => {
  it('makes everything durable that is appended in one turn by one commit', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      const sources = numbersTo(10).map((index) => `service-${index}`)
      await Promise.all(sources.map((source) => log.append(source, createRecords(source, 0, 1, 5))))
      assert.equal(await commitCount(world), 1)
      await Promise.all(sources.map((source) => log.append(source, createRecords(source, 0, 6, 6))))
      assert.equal(await commitCount(world), 2)
    }))

  it('takes appends of one source that do not wait for each other, in the order of the calls', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      await Promise.all(numbersTo(20).map((number) => log.append('orders', [createRecord('orders', 0, number)])))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(20))
      assert.equal(await commitCount(world), 1)
    }))

  it('writes an append that is too large for one statement by one transaction all the same', () =>
    withPostgres({ statementBytesMax: 1_000 }, async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 300))
      assert.equal(await commitCount(world), 1)
      const other = await world.open()
      await world.pool.query(
        `INSERT INTO ${tableOf(world)} SELECT source, partition, 301, "order", id, type, version, key, at, data, trace, cause FROM ${tableOf(world)} WHERE number = 1`,
      )
      await assertRefused('LOG_DIVERGED', log.append('orders', createRecords('orders', 0, 301, 600)))
      assertNumbers(await readNumbers(other, 'orders', 0), numbersTo(301))
    }))

  it('rejects alone what PostgreSQL cannot take, and commits what came with it', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      const [good, odd, late] = [
        log.append('orders', createRecords('orders', 0, 1, 3)),
        log.append('odd', [createRecord('odd', 0, 1, { at: 1.5 })]),
        log.append('payments', createRecords('payments', 0, 1, 3)),
      ]
      await Promise.all([good, assertRefused('INTERNAL', odd), late])
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      assertNumbers(await readNumbers(log, 'odd', 0), [])
      assertNumbers(await readNumbers(log, 'payments', 0), numbersTo(3))
    }))

  it('bounds what one read answers, and gives all of it page by page', () =>
    withPostgres({ readRecordsMax: 200, readBytesMax: 5_000 }, async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 300))
      await log.append(
        'orders',
        numbersTo(10).map((number) => createRecord('orders', 1, number, { data: `"${'x'.repeat(4000)}"` })),
      )
      await log.append('orders', [createRecord('orders', 1, 11, { data: `"${'x'.repeat(9000)}"` })])
      assert.ok((await log.read('orders', 0, null, 1000)).length <= 200)
      assert.equal((await log.read('orders', 1, null, 1000)).length, 2)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(300))
      assertNumbers(await readNumbers(log, 'orders', 1), numbersTo(11))
      await assertRefused('INVALID', log.read('orders', 0, 'yesterday', 10))
    }))

  it('tells readers with LOG_GAP at the very place where records are gone, and gives all that is before it', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 10))
      await world.pool.query(`DELETE FROM ${tableOf(world)} WHERE number IN (1, 5)`)
      await assertRefused('LOG_GAP', log.read('orders', 0, null, 100))
      assertNumbers(
        (await log.read('orders', 0, '1', 100)).map(({ number }) => number),
        [2, 3, 4],
      )
      await assertRefused('LOG_GAP', log.read('orders', 0, '4', 100))
      assertNumbers(
        (await log.read('orders', 0, '5', 100)).map(({ number }) => number),
        [6, 7, 8, 9, 10],
      )
      await assertRefused('LOG_GAP', log.read('orders', 0, '11', 100))
      await assertRefused('LOG_GAP', log.append('orders', [createRecord('orders', 0, 5)]))
    }))

  it('keeps any text, also what PostgreSQL has no words for, in every field', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      const odd = '\u0000\u0001 \ud800 "\\{},'
      const records = [
        createRecord('orders', 0, 1, { order: odd, id: odd, type: odd, key: odd, data: odd, trace: odd, cause: odd }),
        createRecord('orders', 0, 2, { id: odd.slice(1) }),
      ]
      for (let time = 0; time < 2; time++) await log.append('orders', records)
      assert.deepEqual(
        await readAll(log, 'orders', 0),
        records.map((record) => ({ ...record, source: 'orders', offset: String(record.number) })),
      )
    }))

  it('is made once by many who begin at the same time', () =>
    withPostgres({}, async (world) => {
      const logs = await Promise.all(numbersTo(12).map(() => world.open()))
      await Promise.all(logs.map((log, index) => log.append(`service-${index}`, createRecords('orders', 0, 1, 2))))
      assert.deepEqual((await world.pool.query(`SELECT version FROM ${quoteIdentifier(world.schema)}.format`)).rows, [
        { version: 1 },
      ])
    }))

  for (const end of ['await log.close()', '']) {
    it(`does not keep a process alive that has nothing more to write, ${end === '' ? 'closed or not' : 'and lets it close'}`, () =>
      withPostgres({}, async (world) => {
        const program = `
          import { createNodeHost } from '@atoll/host/node'
          import { createPostgresLog } from '@atoll/log/postgres'
          import { createRecords } from '${import.meta.dirname}/../../conformance/records.ts'
          const log = await createPostgresLog({ url: process.argv[1], system: process.argv[2], host: createNodeHost() })
          await log.append('orders', createRecords('orders', 0, 1, 3))
          console.log('durable')
          ${end}`
        const output = execFileSync(
          process.execPath,
          ['--input-type=module', '--eval', program, world.url, world.system],
          { cwd: import.meta.dirname, encoding: 'utf8', timeout: 5 * 60_000 },
        )
        assert.equal(output, 'durable\n')
      }))
  }

  it('refuses a name that would be another system, or none', async () => {
    for (const system of ['', 'Shop', 'a b', 'a"b', 'x'.repeat(60), '1st'])
      await assertRefused('INVALID', createPostgresLog({ url: 'postgres://127.0.0.1:1/x', system, host }))
  })

  it('refuses a log of a newer version', () =>
    withPostgres({}, async (world) => {
      await world.open()
      await world.pool.query(`UPDATE ${quoteIdentifier(world.schema)}.format SET version = 2`)
      await assertRefused('STORE_NEWER', world.open())
    }))

  it('needs no right to create anything once its tables are there', () =>
    withPostgres({}, async (world) => {
      const { system, schema, pool } = world
      await (await world.open()).append('orders', createRecords('orders', 0, 1, 3))
      const role = `${schema}_role`
      await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'atoll'`)
      await pool.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
      await pool.query(`GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
      const url = new URL(world.url)
      url.username = role
      url.password = 'atoll'
      const log = await createPostgresLog({ url: url.href, system, host })
      await log.append('orders', createRecords('orders', 0, 4, 5))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(5))
      assert.equal((await log.examine()).engine, 'PostgreSQL')
      await log.close()
      await pool.query(`DROP OWNED BY ${role}`)
      await pool.query(`DROP ROLE ${role}`)
    }))
})

describe('watching a PostgreSQL log', () => {
  it('hears of what other processes append, also after its connection was lost', () =>
    withPostgres({}, async (world) => {
      const [writer, watcher] = [await world.open(), await world.open()]
      const told = new Set<number>()
      watcher.watch('orders', (partition) => told.add(partition))
      let number = 0
      // A hint may be lost until it listens, so: until one is heard.
      const hear = async (what: string): Promise<void> => {
        told.clear()
        await until(what, async () => {
          number++
          await writer.append('orders', [createRecord('orders', 3, number), createRecord('orders', 7, number)])
          return told.has(3) && told.has(7)
        })
      }
      await hear('a hint from another process')
      const listeners =
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2'
      assert.equal((await world.pool.query(listeners, [`atoll log of ${world.system}`, 'LISTEN%'])).count, 1)
      await hear('a hint over a new connection')
    }))

  it('takes no harm from what others say on its channel', () =>
    withPostgres({}, async (world) => {
      const [writer, watcher] = [await world.open(), await world.open()]
      let told = 0
      watcher.watch('orders', () => told++)
      let number = 0
      const hear = (): Promise<void> =>
        until('a hint', async () => {
          await writer.append('orders', [createRecord('orders', 0, ++number)])
          return told > 0
        })
      await hear()
      for (const payload of ['', 'x', '[]', '{}', '[1,2,3]', '["a","orders","b"]', '["a","orders",["b",null]]', 'null'])
        await world.pool.query('SELECT pg_notify($1, $2)', [world.schema, payload])
      told = 0
      await hear()
    }))
})

describe('the examination of a PostgreSQL log', () => {
  it('holds for a good server, and finds a table that a crash would empty or whose numbers may repeat', () =>
    withPostgres({}, async (world) => {
      const log = await world.open()
      const good = await log.examine()
      assert.deepEqual(
        good.findings.filter(({ verdict }) => verdict === 'breaks'),
        [],
      )
      assert.equal(good.survives['power loss'], true)
      assert.equal(
        good.findings.find(({ name }) => name === 'postgres.max_connections')!.message,
        'the log takes up to 5 in each process',
      )
      await world.pool.query(`ALTER TABLE ${tableOf(world)} SET UNLOGGED`)
      await world.pool.query(`ALTER TABLE ${tableOf(world)} DROP CONSTRAINT records_pkey`)
      const bad = await log.examine()
      assert.deepEqual(
        bad.findings.filter(({ verdict }) => verdict === 'breaks').map(({ name }) => name),
        ['postgres.log_persistence', 'postgres.log_key'],
      )
      assert.equal(bad.survives['process kill'], false)
    }))
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { engineUrl, startProxy } from '@atoll/engines'
import { startServer, type Server } from '@atoll/engines/postgres'
import { until } from '@atoll/engines/waiting'
import type { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import {
  examinePostgres,
  fromStorable,
  int4Array,
  int8Array,
  listen,
  openPool,
  quoteIdentifier,
  textArray,
  toStorable,
  type Pool,
  type PoolOptions,
} from './index.ts'

const host = createNodeHost()

/** Runs `body` with a pool of its own, whose connections have a name of their own. */
async function withPool(
  options: Partial<PoolOptions>,
  body: (pool: Pool, name: string) => Promise<void>,
): Promise<void> {
  const name = `test ${randomBytes(6).toString('hex')}`
  const pool = openPool({ url: engineUrl('postgres'), host, applicationName: name, connectionsMax: 3, ...options })
  try {
    await body(pool, name)
  } finally {
    await pool.close()
  }
}

const pidOf = async (pool: Pick<Pool, 'query'>): Promise<number> =>
  // a SELECT without FROM answers one row
  (await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid

/** How many connections of that name the server has. */
async function countOf(name: string): Promise<number> {
  let count = -1
  await withPool({}, async (pool) => {
    count = (await pool.query('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [name])).count
  })
  return count
}

const unavailable = { code: 'UNAVAILABLE' }

describe('a pool of connections to PostgreSQL', () => {
  it('gives a connection that did its work to the next', () =>
    withPool({ connectionsMax: 1 }, async (pool) => {
      assert.equal(await pidOf(pool), await pidOf(pool))
    }))

  it('keeps a connection on which a statement failed', () =>
    withPool({ connectionsMax: 1 }, async (pool) => {
      const pid = await pidOf(pool)
      await assert.rejects(pool.query('SELECT 1 / 0'), { code: '22012' })
      assert.equal(await pidOf(pool), pid)
    }))

  it('destroys a connection whose statement took too long, at the server too', () =>
    withPool({ connectionsMax: 1, callMs: 300 }, async (pool, name) => {
      const pid = await pidOf(pool)
      await assert.rejects(pool.query('SELECT pg_sleep(30)'), unavailable)
      assert.notEqual(await pidOf(pool), pid)
      await until('the server to end it', async () => (await countOf(name)) === 1)
    }))

  it('destroys a connection that comes back with a transaction open, and nothing of it stays', () =>
    withPool({ connectionsMax: 1 }, async (pool) => {
      const pid = await pool.use(async (client) => {
        await client.query('BEGIN')
        await client.query('CREATE TEMP TABLE half (x int)')
        return pidOf(client)
      })
      assert.notEqual(await pidOf(pool), pid)
      await assert.rejects(pool.query('SELECT * FROM half'), { code: '42P01' })
    }))

  it('destroys a connection that comes back with a statement unanswered', () =>
    withPool({ connectionsMax: 1 }, async (pool) => {
      let late: Promise<unknown> | undefined
      const pid = await pool.use(async (client) => {
        const own = await pidOf(client)
        late = client.query('SELECT pg_sleep(30)').catch((error: unknown) => error)
        return own
      })
      assert.notEqual(await pidOf(pool), pid)
      assert.equal(((await late) as AtollError).code, 'UNAVAILABLE')
    }))

  it('rejects what runs on a connection that the server ends, outlives it, and opens another', () =>
    withPool({}, async (pool) => {
      await pool.use(async (client) => {
        const pid = await pidOf(client)
        const under = assert.rejects(client.query('SELECT pg_sleep(30)'), unavailable)
        await pool.query('SELECT pg_terminate_backend($1)', [pid])
        await under
        await assert.rejects(client.query('SELECT'), unavailable)
      })
      await pool.query('SELECT')
    }))

  it('outlives the end of connections that nobody uses at the moment', () =>
    withPool({}, async (pool, name) => {
      await Promise.all([pool.query('SELECT pg_sleep(0.05)'), pool.query('SELECT pg_sleep(0.05)')])
      await withPool(
        {},
        async (other) =>
          void (await other.query(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
            [name],
          )),
      )
      await until('the connections to be gone', async () => (await countOf(name)) === 0)
      await pool.query('SELECT')
    }))

  it('outlives the end of a connection that is in use, and asks nothing at the moment', () =>
    withPool({}, async (pool, name) => {
      await pool.use(async (client) => {
        const pid = await pidOf(client)
        await withPool({}, async (other) => void (await other.query('SELECT pg_terminate_backend($1)', [pid])))
        await until('the connection to be gone', async () => (await countOf(name)) === 0)
        await assert.rejects(client.query('SELECT'), unavailable)
      })
    }))

  it('refuses with OVERLOADED who waits too long for a connection, and who is over waitingMax', () =>
    withPool({ connectionsMax: 1, waitingMax: 1, connectMs: 200 }, async (pool) => {
      await pidOf(pool)
      await pool.use(async (client) => {
        const waiting = assert.rejects(pool.query('SELECT'), { code: 'OVERLOADED' })
        await assert.rejects(pool.query('SELECT'), { code: 'OVERLOADED' })
        for (let count = 0; count < 10; count++) await client.query('SELECT pg_sleep(0.03)')
        await waiting
      })
    }))

  it('prepares a statement once for each connection, and one that is run once not at all', () =>
    withPool({ connectionsMax: 1, preparedMax: 5 }, async (pool) => {
      for (let use = 0; use < 5; use++) await pool.query('SELECT $1::int', [use])
      for (let other = 0; other < 20; other++) await pool.query(`SELECT ${other}`)
      assert.equal((await pool.query('SELECT * FROM pg_prepared_statements')).count, 1)
    }))

  it('outlives a table that gets another column under a prepared statement', () =>
    withPool({ connectionsMax: 1 }, async (pool) => {
      const table = `t${randomBytes(6).toString('hex')}`
      await pool.query(`CREATE TABLE ${table} (a int)`)
      for (let use = 0; use < 3; use++) await pool.query(`SELECT * FROM ${table}`)
      await pool.query(`ALTER TABLE ${table} ADD b int`)
      await assert.rejects(pool.query(`SELECT * FROM ${table}`), unavailable)
      await pool.query(`SELECT * FROM ${table}`)
      await pool.query(`DROP TABLE ${table}`)
    }))

  it('waits for the disk at each commit, also where the database is set to do without', () =>
    withPool({}, async (pool) => {
      const role = `t${randomBytes(6).toString('hex')}`
      await pool.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'atoll'`)
      await pool.query(`ALTER ROLE ${role} SET synchronous_commit = off`)
      const url = new URL(engineUrl('postgres'))
      url.username = role
      url.password = 'atoll'
      await withPool({ url: url.href }, async (other) =>
        assert.deepEqual((await other.query('SHOW synchronous_commit')).rows, [{ synchronous_commit: 'on' }]),
      )
      await pool.query(`DROP ROLE ${role}`)
    }))

  it('takes on role and search path, and refuses a role that there is not', () =>
    withPool({ role: 'pg_monitor', searchPath: ['a"b', 'c, d'] }, async (pool) => {
      const { rows } = await pool.query("SELECT current_user::text AS role, current_setting('search_path') AS path")
      assert.deepEqual(rows, [{ role: 'pg_monitor', path: '"a""b", "c, d"' }])
      await withPool({ role: 'nobody at all' }, (other) => assert.rejects(other.query('SELECT'), unavailable))
    }))

  it('gives values as they are, and guesses nothing', () =>
    withPool({}, async (pool) => {
      const { rows } = await pool.query(
        `SELECT 9007199254740991 AS exact, 9007199254740993 AS large, true AS yes, '\\x00ff'::bytea AS bytes, $1::bytea AS back,
                '2024-02-30'::text AS text, '2024-02-28'::date AS date, '{"a": 1}'::json AS json, 1.10 AS numeric, ARRAY[1, 2] AS list, NULL AS nothing`,
        [new Uint8Array([0, 255])],
      )
      const bytes = new Uint8Array([0, 255])
      assert.deepEqual(rows, [
        {
          exact: 9007199254740991,
          large: 9007199254740993n,
          yes: true,
          bytes,
          back: bytes,
          text: '2024-02-30',
          date: '2024-02-28',
          json: '{"a": 1}',
          numeric: '1.10',
          list: '{1,2}',
          nothing: null,
        },
      ])
    }))

  it('takes whole columns in the wire format', () =>
    withPool({}, async (pool) => {
      const texts = ['', 'ü\n"{},\\', toStorable('a\0b')]
      const small = [0, -(2 ** 31), 2 ** 31 - 1]
      const large = [2 ** 32 + 1, -(2 ** 53) + 1, -1]
      const { rows } = await pool.query<{ t: string; s: number; l: number }>(
        'SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[]) AS u (t, s, l)',
        [textArray(texts), int4Array(small), int8Array(large)],
      )
      assert.deepEqual(
        rows.map(({ t, s, l }) => [fromStorable(t), s, l]),
        [
          ['', 0, large[0]],
          ['ü\n"{},\\', -(2 ** 31), large[1]],
          ['a\0b', 2 ** 31 - 1, -1],
        ],
      )
      assert.equal(
        (await pool.query('SELECT * FROM unnest($1::text[], $2::int8[])', [textArray([]), int8Array([])])).count,
        0,
      )
    }))
})

describe('a pool whose server is gone without a word', () => {
  it('rejects, opens nothing that it cannot use, and works again by itself', async () => {
    const url = new URL(engineUrl('postgres'))
    const proxy = await startProxy({ target: { host: url.hostname, port: Number(url.port) } })
    url.host = `127.0.0.1:${proxy.port}`
    await withPool({ url: url.href, callMs: 400, connectMs: 300, connectionsMax: 2 }, async (pool) => {
      await pool.query('SELECT')
      await proxy.silence()
      await Promise.all(Array.from({ length: 6 }, () => assert.rejects(pool.query('SELECT'), unavailable)))
      // now there is no connection at all, and a new one gets no answer
      await assert.rejects(pool.query('SELECT'), unavailable)
      await proxy.pass()
      await until('the pool to work again', () =>
        pool.query('SELECT').then(
          () => true,
          () => false,
        ),
      )
    })
    await proxy.close()
  })

  it('closes all the same', async () => {
    const url = new URL(engineUrl('postgres'))
    const proxy = await startProxy({ target: { host: url.hostname, port: Number(url.port) } })
    url.host = `127.0.0.1:${proxy.port}`
    await withPool({ url: url.href, callMs: 400 }, async (pool) => {
      await pool.query('SELECT')
      await proxy.silence()
    })
    await proxy.close()
  })
})

describe('a listener', () => {
  it('hears what is notified, opens its connection again when it is lost, and nothing after it is closed', () =>
    withPool({}, async (pool, name) => {
      const channel = `it's a "channel" ${name}`
      const heard: string[] = []
      let opened = 0
      const listening = listen(
        pool,
        channel,
        (payload) => heard.push(payload),
        () => opened++,
      )
      const notify = async (payload: string): Promise<void> =>
        void (await pool.query('SELECT pg_notify($1, $2)', [channel, payload]))
      await until('the listener to listen', () => opened === 1)
      await notify('first')
      await until('the first to be heard', () => heard.includes('first'))
      await pool.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid() AND query LIKE $2',
        [name, 'LISTEN%'],
      )
      await until('the listener to listen again', () => opened === 2)
      await notify('second')
      await until('the second to be heard', () => heard.includes('second'))
      listening.close()
      await until('its connection to be gone', async () => (await countOf(name)) === 1)
      await notify('third')
      assert.deepEqual(heard, ['first', 'second'])
    }))

  it('may be closed before it listens', () =>
    withPool({}, async (pool, name) => {
      listen(pool, 'c', () => {}).close()
      await until('its connection to be gone', async () => (await countOf(name)) === 0)
    }))
})

describe('a server that crashes', () => {
  let server: Server
  before(async () => {
    server = await startServer()
  })
  after(() => server.dispose())

  it('is UNAVAILABLE while it is away and works again by itself, listeners too', () =>
    withPool({ url: server.url, callMs: 2_000 }, async (pool) => {
      const heard: string[] = []
      let opened = 0
      const listening = listen(
        pool,
        'news',
        (payload) => heard.push(payload),
        () => opened++,
      )
      await until('the listener to listen', () => opened === 1)
      const under = assert.rejects(pool.query('SELECT pg_sleep(30)'), unavailable)
      await server.kill()
      await under
      await assert.rejects(pool.query('SELECT'), unavailable)
      await server.start()
      await until('the pool to work again', () =>
        pool.query('SELECT').then(
          () => true,
          () => false,
        ),
      )
      await until('the listener to listen again', () => opened === 2)
      await pool.query("NOTIFY news, 'again'")
      await until('the news to be heard', () => heard.includes('again'))
      listening.close()
    }))

  it('is found out when it is set to lose what it acknowledged', () =>
    withPool({ url: server.url }, async (pool) => {
      const verdicts = async (): Promise<Record<string, string>> =>
        Object.fromEntries((await examinePostgres(pool)).findings.map(({ name, verdict }) => [name, verdict]))
      const good = await verdicts()
      for (const name of [
        'version',
        'replica',
        'fsync',
        'full_page_writes',
        'synchronous_commit',
        'server_encoding',
        'clock',
        'max_connections',
      ])
        assert.equal(good[`postgres.${name}`], 'holds', name)
      await server.kill()
      await server.start({ fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' })
      await until('the pool to work again', () =>
        pool.query('SELECT').then(
          () => true,
          () => false,
        ),
      )
      const bad = await verdicts()
      assert.deepEqual(
        [bad['postgres.fsync'], bad['postgres.full_page_writes'], bad['postgres.synchronous_commit']],
        ['breaks', 'breaks', 'holds'],
      )
      assert.deepEqual((await examinePostgres(pool)).survives, {
        'process kill': true,
        'OS crash': false,
        'power loss': false,
        'loss of a node': false,
      })
    }))

  it('counts as unknown a commit that its standbys never confirmed', () =>
    withPool({ url: server.url, callMs: 5_000 }, async (pool) => {
      await server.kill()
      await server.start()
      await until('the pool to work again', () =>
        pool.query('CREATE TABLE IF NOT EXISTS t (x int)').then(
          () => true,
          () => false,
        ),
      )
      await server.kill()
      await server.start({ synchronous_standby_names: 'nowhere' })
      await until('the pool to work again', () =>
        pool.query('SELECT').then(
          () => true,
          () => false,
        ),
      )
      assert.equal((await examinePostgres(pool)).survives['loss of a node'], true)
      // The commit waits for a standby that there is not. An administrator cancels the wait, and the server calls that
      // a success.
      const insert = assert.rejects(pool.query('INSERT INTO t VALUES (1)'), unavailable)
      await until(
        'the commit to wait',
        async () =>
          (await pool.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
            .count === 1,
      )
      await insert
    }))
})

it('quotes names that PostgreSQL takes back as they were', () =>
  withPool({}, async (pool) => {
    for (const name of ['a "b" c', "it's", 'SELECT', 'ü'.repeat(31)]) {
      const { rows } = await pool.query<Record<string, number>>(`SELECT 1 AS ${quoteIdentifier(name)}`)
      assert.deepEqual(Object.keys(rows[0]!), [name]) // one row
    }
  }))

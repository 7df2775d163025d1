import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AtollError } from '@atoll/host'
import { storeFailures } from '../../driver.ts'
import {
  allCounters,
  counters,
  emit,
  inPostgresWorld,
  insertCounter,
  namesIn,
  readCounter,
} from '../../../test/postgres-world.ts'

const deferred = {
  '0001': `CREATE TABLE parents (id TEXT PRIMARY KEY) STRICT;
           CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
           CREATE TABLE seats (id TEXT PRIMARY KEY, place INTEGER UNIQUE DEFERRABLE INITIALLY IMMEDIATE)`,
}

describe('a work on a store in PostgreSQL', () => {
  it('that leaves a deferred constraint broken fails alone, whatever order others keep', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', deferred)
      const [child, parent] = [
        { sql: 'INSERT INTO children (id, parent) VALUES (?, ?)' },
        { sql: 'INSERT INTO parents (id) VALUES (?)' },
      ]
      const outcomes = await Promise.allSettled([
        store.write(async (tx) => (await tx.run(child, ['a', 'p']), await tx.run(parent, ['p']))),
        store.write((tx) => tx.run(child, ['b', 'nobody'])),
        store.write(async (tx) => (await tx.run(child, ['c', 'q']), await tx.run(parent, ['q']))),
      ])
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(await store.reader.all({ sql: 'SELECT id FROM children ORDER BY id' }), [
        { id: 'a' },
        { id: 'c' },
      ])
    }))

  it('that makes such a constraint and breaks it has works commit alone for a while, and not for ever', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { workMs: 60_000, groupOpenMs: 60_000, groupWritesMax: 4 })
      await store.write((tx) =>
        tx.run({ sql: 'CREATE TABLE replies (counter TEXT REFERENCES counters (name) DEFERRABLE INITIALLY DEFERRED)' }),
      )
      const reply = { sql: `INSERT INTO replies (counter) VALUES ('nothing')` }
      const outcomes = await Promise.allSettled([
        store.write((tx) => tx.run(reply)),
        store.write((tx) => tx.run(insertCounter, ['a', 1])),
      ])
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : outcome.status)),
        ['UNAVAILABLE', 'UNAVAILABLE'],
      )
      const sizes = new Set<number>()
      for (let round = 0; round < 1_000 && !sizes.has(1); round++) {
        const commits = await Promise.all([0, 1, 2, 3].map(() => store.write(async ({ commit }) => commit)))
        sizes.add(new Set(commits).size)
      }
      assert.deepEqual([...sizes], [4, 2, 1])
    }))

  it('that calls a function which raises what sounds like trouble of the server fails alone, and the store is not blamed', () =>
    inPostgresWorld(async (world) => {
      const raise = `CREATE FUNCTION raise(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = code; END $$`
      const store = await world.open('orders', { ...counters, '0002-raise': { postgres: raise, sqlite: '' } })
      const states = ['XX000', '08P01', '08006', '57014', '57P01', '55P03', '28000']
      const outcomes = await Promise.all(
        states.map(async (state) => {
          let blamed: unknown
          const before = store.write((tx) => tx.run(insertCounter, [state, 1]))
          const failing = store.write((tx) =>
            tx.get({ sql: 'SELECT raise(?) AS one' }, [state]).finally(() => (blamed = tx.storeFailure)),
          )
          const outcome = await failing.then(
            () => 'done',
            (error: AtollError) => (storeFailures.has(error.code) ? error.code : blamed),
          )
          await before
          return outcome
        }),
      )
      assert.deepEqual(
        outcomes,
        states.map(() => undefined),
      )
      assert.deepEqual(await namesIn(store), [...states].sort())
    }))

  it('meets a constraint that may be deferred, and is not, at its statement, also behind works whose commit was checked', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', deferred)
      const seat = { sql: 'INSERT INTO seats (id, place) VALUES (?, ?)' }
      const outcomes = await Promise.allSettled([
        store.write((tx) => tx.run(seat, ['a', 1])),
        store.write(async (tx) => {
          await assert.rejects(tx.savepoint(() => tx.run(seat, ['b', 1])))
          await tx.run(seat, ['b', 2])
        }),
      ])
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'fulfilled'],
      )
    }))

  it('that did not wait for a statement which then fails is undone alone', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const forgotten: Promise<unknown>[] = []
      const outcomes = await Promise.allSettled([
        store.write((tx) => tx.run(insertCounter, ['a', 1])),
        store.write(async (tx) => {
          await tx.run(insertCounter, ['b', 1])
          forgotten.push(Promise.allSettled([tx.run(insertCounter, ['a', 1])]))
        }),
        store.write((tx) => tx.run(insertCounter, ['c', 1])),
      ])
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : outcome.status)),
        ['fulfilled', 'TX_FAILED', 'fulfilled'],
      )
      assert.deepEqual(await namesIn(store), ['a', 'c'])
    }))

  it('that did not wait for a statement of a savepoint has it undone with the savepoint', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      await store.write(async (tx) => {
        await tx.run(insertCounter, ['a', 1])
        const inner = tx.savepoint(async () => {
          await tx.run(insertCounter, ['b', 1])
          tx.run(insertCounter, ['a', 1]).catch(() => 'nobody waits for it')
        })
        await assert.rejects(inner, { code: 'TX_FAILED' })
        await tx.run(insertCounter, ['c', 1])
      })
      assert.deepEqual(await namesIn(store), ['a', 'c'])
    }))

  it('whose statement fails before those that were sent behind it fails alone, also where they are asked for the first time', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const fresh = { sql: 'INSERT INTO counters (count, name) VALUES (?, ?)' } // which no connection has prepared
      const outcomes = await Promise.allSettled([
        store.write((tx) => tx.run(insertCounter, ['a', 1])),
        store.write((tx) =>
          tx.runEach(fresh, [
            [1, 'a'],
            [1, 'b'],
            [1, 'c'],
            [1, 'd'],
            [1, 'e'],
          ]),
        ),
        store.write(async (tx) => {
          await assert.rejects(
            tx.savepoint(() =>
              tx.runEach(fresh, [
                [1, 'a'],
                [1, 'b'],
                [1, 'c'],
                [1, 'd'],
              ]),
            ),
            /duplicate key/,
          )
          await tx.run(insertCounter, ['f', 1])
        }),
      ])
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(await namesIn(store), ['a', 'f'])
    }))

  it('that waits for something outside is refused with TX_WAITED, also while others read all the time', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { workMs: 700 })
      let open = true
      const read = async (): Promise<void> => {
        while (open) await store.reader.get({ sql: 'SELECT pg_sleep(0.01), count(*) AS count FROM counters' })
      }
      const reading = Array.from({ length: 16 }, read)
      await assert.rejects(
        store.write(() => new Promise<never>(() => {})),
        { code: 'TX_WAITED' },
      )
      open = false
      await Promise.all(reading)
      await assert.rejects(
        store.write(() => new Promise<never>(() => {})),
        { code: 'TX_WAITED' },
      )
    }))

  it('that waits for its store alone is never taken to wait outside, however busy the process is', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      let open = true
      const busy = (): void => {
        for (const end = performance.now() + 15; performance.now() < end;) JSON.stringify({ x: Math.random() })
        if (open) setImmediate(busy)
      }
      busy()
      const writing = Array.from({ length: 20 }, (_, index) =>
        store.write(async (tx) => {
          await Promise.all([tx.run(insertCounter, [`${index}`, 1]), tx.all(allCounters), tx.get(readCounter, ['0'])])
          await tx.savepoint(async () => {
            await Promise.resolve()
            await tx.savepoint(async () => void (await tx.run(emit, ['x'])))
          })
          await tx.savepoint(async () => {})
          await Promise.all([store.reader.all(allCounters), tx.all(allCounters)])
          await tx.runEach(emit, [['y'], ['z']])
        }),
      )
      await Promise.all(writing).finally(() => (open = false))
      assert.equal((await namesIn(store)).length, 20)
    }))

  it('that asks for a statement without end is refused for that, and not for what ending it took', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { workMs: 300, callMs: 2_000 })
      const endless = store.write((tx) =>
        tx.all({
          sql: 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i % 1000 + 1 FROM n WHERE i > 0) SELECT count(*) FROM n, generate_series(1, 1000000000) AS many',
        }),
      )
      await assert.rejects(endless, { code: 'TX_WAITED' })
      await store.write((tx) => tx.run(insertCounter, ['next', 1]))
      assert.deepEqual(await namesIn(store), ['next'])
    }))

  it('that takes longer than workMs with what it asks its store is refused, and told so', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { workMs: 300 })
      const writing = store.write(async (tx) => {
        for (;;) await tx.get({ sql: 'SELECT pg_sleep(0.02)' })
      })
      await assert.rejects(writing, /^AtollError: TX_WAITED: .*took longer than 300 ms \(workMs\)/)
      await store.write((tx) => tx.run(emit, ['next']))
    }))

  it('runs a statement for each of 10,000 rows, in order, and gets them all back', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { workMs: 60_000 })
      await store.write((tx) =>
        tx.runEach(
          emit,
          Array.from({ length: 10_000 }, (_, index) => [String(index)]),
        ),
      )
      const rows = await store.reader.all<{ seq: number; body: string }>({
        sql: 'SELECT seq, body FROM outbox ORDER BY seq',
      })
      assert.deepEqual(
        rows.map(({ body }) => body),
        Array.from({ length: 10_000 }, (_, index) => String(index)),
      )
    }))

  it('cannot end its transaction, nor leave something behind on the connection', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const refused = [
        'COMMIT',
        'end',
        '/* a */ ROLLBACK',
        '-- a\nCOMMIT',
        ';COMMIT',
        'CREATE TEMP TABLE t ()',
        'SELECT pg_advisory_lock(1)',
        'PREPARE TRANSACTION $$x$$',
        'CALL nothing()',
        'LOCK TABLE counters',
      ]
      for (const sql of refused)
        await assert.rejects(
          store.write((tx) => tx.run({ sql })),
          { code: 'UNSUPPORTED' },
          sql,
        )
      await assert.rejects(
        store.write((tx) => tx.run({ sql: `INSERT INTO outbox (body) VALUES ('x'); COMMIT` })),
        /multiple commands/,
      )
      const accepted = [
        `SELECT 'commit; set role' AS "end"`,
        `WITH begin AS (SELECT 1 AS start) SELECT start FROM begin`,
        `(SELECT 1 AS lock)`,
        `SELECT pg_advisory_xact_lock(1)::text AS locked`,
        `INSERT INTO outbox (body) VALUES ('set_config(1)') RETURNING body AS "set"`,
      ]
      for (const sql of accepted) await store.write((tx) => tx.all({ sql }))
    }))
})

describe('values in PostgreSQL', () => {
  it('sort as texts of SQLite do, by their bytes', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const names = ['Zebra', 'apple', 'Äpfel', '_', '10', '9', 'apple pie', 'appleb', '']
      await store.write((tx) =>
        tx.runEach(
          insertCounter,
          names.map((name) => [name, 1]),
        ),
      )
      assert.deepEqual(
        await namesIn(store),
        names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      )
    }))

  it('that sums and averages come to are numbers, and whole ones beyond 2^53 are bigints', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const row = await store.reader.get({
        sql: `SELECT sum(n) AS sum, avg(n) AS avg, sum(n) * 9007199254740993 AS large, 0.25::numeric AS part, 'NaN'::numeric AS none FROM (VALUES (1::bigint), (2)) AS t (n)`,
      })
      assert.deepEqual(row, { sum: 3, avg: 1.5, large: 27021597764222979n, part: 0.25, none: 'NaN' })
    }))
})

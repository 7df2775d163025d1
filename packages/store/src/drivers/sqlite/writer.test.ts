import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { openDatabase } from '@atoll/sqlite'
import {
  inSqliteWorld,
  insertNote,
  notes,
  selectNotes,
  type SqliteWorld,
  type SqliteWorldOptions,
} from '../../../test/sqlite-world.ts'
import type { Transaction } from '../../driver.ts'
import type { SqliteStore } from './store.ts'

function withStore(work: (store: SqliteStore) => Promise<void>, options: SqliteWorldOptions = {}): Promise<void> {
  return inSqliteWorld(options, async (world) => work(await world.open()))
}

const note =
  (text: string) =>
  (tx: Transaction): Promise<number> =>
    tx.run(insertNote, [text])
const texts = async (store: SqliteStore): Promise<unknown[]> =>
  (await store.reader.all(selectNotes)).map((row) => row['text'])
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Commits that have reached the file: each that changes something raises SQLite's data version, as another connection
 * sees it.
 */
function watchCommits(store: SqliteStore): () => boolean {
  const watcher = openDatabase(store.connection.file, { applicationId: 0, formatVersion: 0, readonly: true })
  let version = watcher.pragma('data_version', { simple: true })
  return () => {
    const before = version
    version = watcher.pragma('data_version', { simple: true })
    return version !== before
  }
}

describe('a physical commit of the SQLite store', () => {
  it('carries what is ready in one turn, and ends with the turn while works trickle in', () =>
    withStore(async (store) => {
      const hasCommitted = watchCommits(store)
      const first = store.write(async (tx) => (await note('a')(tx), tx.commit))
      await Promise.resolve()
      await Promise.resolve()
      const second = store.write(async (tx) => (await note('b')(tx), tx.commit))
      assert.equal(hasCommitted(), false)
      await turn()
      const third = store.write(async (tx) => (await note('c')(tx), tx.commit))
      assert.equal(hasCommitted(), true)
      assert.equal(await first, await second)
      assert.notEqual(await third, await first)
    }))

  it('carries no more works than groupWritesMax, and lets others have their turn before the next', () =>
    withStore(
      async (store) => {
        let turns = 0
        const count = (): void => void (turns++, setImmediate(count).unref())
        setImmediate(count)
        const carried = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            store.write(async (tx) => (await note(String(index))(tx), { commit: tx.commit, turns })),
          ),
        )
        const commits = [...new Set(carried.map(({ commit }) => commit))]
        assert.deepEqual(
          commits.map((commit) => carried.filter((work) => work.commit === commit).length),
          [4, 4, 2],
        )
        assert.equal(new Set(carried.map((work) => work.turns)).size, 3)
      },
      { limits: { groupWritesMax: 4 } },
    ))

  it('lets others have their turn, too, when those who are answered write again at once', () =>
    withStore(
      async (store) => {
        let turns = 0
        const count = (): void => void (turns++, setImmediate(count).unref())
        setImmediate(count)
        const writeOften = async (name: string): Promise<void> => {
          for (let index = 0; index < 20; index++) await store.write(note(`${name}${index}`))
        }
        await Promise.all(['a', 'b', 'c', 'd'].map(writeOften))
        assert.ok(turns >= 20, `20 commits had ${turns} turns between them`)
      },
      { limits: { groupWritesMax: 4 } },
    ))

  it('stays open no longer than groupOpenMs, by the clock that never jumps', () => {
    let nowMs = 0
    return withStore(
      async (store) => {
        const slow = async (tx: Transaction): Promise<object> => {
          nowMs += 15
          return tx.commit
        }
        const commits = await Promise.all([slow, slow, slow, slow].map((work) => store.write(work)))
        assert.deepEqual(
          [commits[0] === commits[1], commits[1] === commits[2], commits[2] === commits[3]],
          [true, false, true],
        )
      },
      { host: { monotonicMs: () => nowMs } },
    )
  })

  it('fails with TX_WAITED when a hook waits for something else, and the store goes on', () =>
    withStore(async (store) => {
      const { promise: outside, resolve: letGo } = Promise.withResolvers<void>()
      let late: Promise<unknown> | undefined
      const waiting = store.write(async (tx) => {
        await note('a')(tx)
        tx.beforeCommit({}, async (queries) => {
          late = outside.then(() => queries.run(insertNote, ['too late']))
          await late.catch(() => 'well, then')
        })
      })
      await assert.rejects(waiting, { code: 'TX_WAITED' })
      await store.write(async (tx) => {
        letGo()
        await assert.rejects(late!, { code: 'TX_CLOSED' })
        await note('b')(tx)
      })
      assert.deepEqual(await texts(store), ['b'])
    }))

  it('rejects those that wait, and is tried again for those who come, when it cannot begin', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open()
      store.connection.database.pragma('busy_timeout = 0')
      const stranger = openDatabase(world.fileOf('orders'), {
        applicationId: store.connection.database.pragma('application_id', { simple: true }) as number,
        formatVersion: 1,
      }) // SQLite's answer is a number
      stranger.exec('BEGIN IMMEDIATE')
      const refused = await Promise.allSettled(['a', 'b'].map((text) => store.write(note(text))))
      assert.deepEqual(
        refused.map((outcome) => outcome.status === 'rejected' && outcome.reason.code),
        ['UNAVAILABLE', 'UNAVAILABLE'],
      )
      stranger.close()
      await store.write(note('c'))
      assert.deepEqual(await texts(store), ['c'])
    }))
})

describe('a full disk', () => {
  it('rejects the whole commit with STORE_FULL, keeps what was acknowledged, and writing resumes when there is room', () =>
    withStore(async (store) => {
      await store.write(note('acknowledged'))
      makeFull(store)
      const outcomes = await Promise.allSettled(
        ['small', 'x'.repeat(100_000), 'never begun'].map((text) => store.write(note(text))),
      )
      assert.deepEqual(
        outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code),
        ['STORE_FULL', 'STORE_FULL', false],
      )
      assert.deepEqual(await texts(store), ['acknowledged', 'never begun'])
      makeRoom(store)
      await store.write(note('x'.repeat(100_000)))
      assert.equal((await texts(store)).length, 3)
    }))

  it('leaves nothing of a work that goes on writing after it', () =>
    withStore(async (store) => {
      makeFull(store)
      const stubborn = store.write(async (tx) => {
        await note('before')(tx)
        await note('x'.repeat(100_000))(tx).catch(() => 'no matter')
        await note('after')(tx).catch(() => 'no matter')
        return 'well'
      })
      await assert.rejects(stubborn, { code: 'STORE_FULL' })
      assert.deepEqual(await texts(store), [])
    }))

  it('is no reason to close in disorder', () =>
    withStore(async (store) => {
      makeFull(store)
      const failing = store.write(note('x'.repeat(100_000)))
      const closing = store.close()
      await assert.rejects(failing, { code: 'STORE_FULL' })
      await closing
    }))
})

describe('what a work may not do', () => {
  const forbidden = [
    'COMMIT',
    'ROLLBACK',
    'BEGIN',
    'SAVEPOINT mine',
    'RELEASE work',
    `ATTACH 'other.db' AS other`,
    'PRAGMA ignore_check_constraints = ON',
    `INSERT OR ROLLBACK INTO notes VALUES ('a')`,
    '/* x */ PRAGMA query_only = 1',
    '-- x\n; PRAGMA query_only = 1',
    'EXPLAIN PRAGMA query_only = 1',
    `INSERT OR/**/ROLLBACK INTO notes VALUES ('/*')`,
    `CREATE TABLE t (x UNIQUE ON CONFLICT ROLLBACK)`,
  ]
  for (const sql of forbidden) {
    it(`is ${sql}: refused with UNSUPPORTED, for works and readers`, () =>
      withStore(async (store) => {
        await assert.rejects(
          store.write((tx) => tx.run({ sql })),
          { code: 'UNSUPPORTED' },
        )
        await assert.rejects(
          store.write((tx) => tx.all({ sql })),
          { code: 'UNSUPPORTED' },
        )
        await assert.rejects(store.reader.all({ sql }), { code: 'UNSUPPORTED' })
        await store.write(note('fine'))
        assert.deepEqual(await texts(store), ['fine'])
      }))
  }

  it('is nothing that a text or a name only speaks of', () =>
    withStore(async (store) => {
      await store.write((tx) => tx.run({ sql: `INSERT INTO notes (text) VALUES ('PRAGMA -- or rollback')` }))
      assert.deepEqual(
        await store.reader
          .all({
            sql: `SELECT text AS "or rollback", 'it''s /*' AS \`pragma\`, 1 AS [--] FROM notes /* or rollback */`,
          })
          .then((rows) => rows.map((row) => Object.values(row))),
        [['PRAGMA -- or rollback', `it's /*`, 1]],
      )
    }))

  it('is to let savepoints overlap: the work fails, and no other', () =>
    withStore(async (store) => {
      const overlapping = store.write(async (tx) => {
        const save = (text: string): Promise<unknown> =>
          tx.savepoint(async () => (await note(text)(tx), await note(`${text}, again`)(tx)))
        await Promise.allSettled([save('a'), save('b')])
      })
      const next = store.write(note('next'))
      await assert.rejects(overlapping, { code: 'UNSUPPORTED', message: /overlap/ })
      await next
      assert.deepEqual(await texts(store), ['next'])
    }))
})

describe('a table or trigger that undoes everything over one row', () => {
  const ways = {
    table: 'CREATE TABLE rows (id TEXT UNIQUE ON CONFLICT /* all of it */ ROLLBACK)',
    trigger: `CREATE TABLE rows (id TEXT); CREATE TRIGGER odd BEFORE INSERT ON rows BEGIN SELECT RAISE (ROLLBACK, 'not this one'); END`,
    'statement of a trigger':
      'CREATE TABLE rows (id TEXT UNIQUE); CREATE TRIGGER odd AFTER INSERT ON notes BEGIN INSERT OR ROLLBACK INTO rows VALUES (NEW.text); END',
  }
  for (const [way, sql] of Object.entries(ways)) {
    it(`is refused, as a ${way}, and nothing of its migration is left`, () =>
      inSqliteWorld({}, async (world) => {
        await assert.rejects(world.open({ ...notes, '0002-rows': sql }), { code: 'MIGRATION_FAILED', message: /ABORT/ })
        const store = await world.open({ ...notes, '0002-rows': sql.replace('ROLLBACK', 'ABORT') })
        await store.write(note('fine'))
        assert.deepEqual(await texts(store), ['fine'])
      }))
  }

  const trigger = (does: string): string =>
    `CREATE TRIGGER odd BEFORE INSERT ON rows WHEN NEW.id = 'odd' BEGIN SELECT RAISE (${does}, 'not this one'); END`
  const released = {
    table: {
      made: 'CREATE TABLE rows (id TEXT UNIQUE ON CONFLICT ROLLBACK)',
      mend: 'PRAGMA defer_foreign_keys = ON; CREATE TABLE kept AS SELECT * FROM rows; DROP TABLE rows; CREATE TABLE rows (id TEXT UNIQUE); INSERT INTO rows SELECT * FROM kept; DROP TABLE kept',
    },
    trigger: {
      made: `CREATE TABLE rows (id TEXT UNIQUE); ${trigger('ROLLBACK')}`,
      mend: `DROP TRIGGER odd; ${trigger('ABORT')}`,
    },
  }
  for (const [way, { made, mend }] of Object.entries(released)) {
    it(`is mended by a new migration in a store that has had it as a ${way}, and says how until then`, () =>
      inSqliteWorld({}, async (world) => {
        const before = {
          ...notes,
          '0002-rows': `${made}; CREATE TABLE lines (row TEXT REFERENCES rows (id)); INSERT INTO rows VALUES ('kept'); INSERT INTO lines VALUES ('kept')`,
        }
        await makeUnseen(world, before)
        await assert.rejects(world.open(before), {
          code: 'MIGRATION_FAILED',
          message: new RegExp(`${way} (rows|odd) .*write a new one: .*DROP ${way.toUpperCase()}`),
        })
        const store = await world.open({ ...before, '0003-mended': mend })
        assert.deepEqual(await store.reader.all({ sql: 'SELECT id FROM rows JOIN lines ON lines.row = rows.id' }), [
          { id: 'kept' },
        ])
        const outcomes = await Promise.allSettled([
          store.write(note('fine')),
          store.write((tx) => tx.run({ sql: `INSERT INTO rows VALUES ('odd'), ('kept')` })),
        ])
        assert.deepEqual(
          outcomes.map(({ status }) => status),
          ['fulfilled', 'rejected'],
        )
        assert.deepEqual(await texts(store), ['fine'])
      }))
  }
})

describe('the migration that a refusal proposes', () => {
  const shapes: Record<string, string> = {
    'in a row': `CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE CASCADE); CREATE TABLE parts (line TEXT REFERENCES lines (id) ON DELETE SET NULL);
      INSERT INTO rows VALUES ('r', 0); INSERT INTO lines VALUES ('l', 'r'); INSERT INTO parts VALUES ('l')`,
    'from two sides, the first of which follows the second': `CREATE TABLE parts (row TEXT REFERENCES rows (id) ON DELETE CASCADE, line TEXT REFERENCES lines (id) ON DELETE CASCADE); CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE SET NULL);
      INSERT INTO rows VALUES ('r', 0); INSERT INTO lines VALUES ('l', 'r'); INSERT INTO parts VALUES ('r', 'l')`,
    'in a circle': `CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE SET NULL, part TEXT REFERENCES parts (id) ON DELETE CASCADE); CREATE TABLE parts (id TEXT PRIMARY KEY, line TEXT REFERENCES lines (id) ON DELETE SET NULL);
      INSERT INTO rows VALUES ('r', 0); BEGIN; PRAGMA defer_foreign_keys = ON; INSERT INTO lines VALUES ('l', 'r', 'p'), ('m', NULL, 'p'); INSERT INTO parts VALUES ('p', 'l'); COMMIT`,
    'in a circle through the table itself': `ALTER TABLE rows ADD line TEXT REFERENCES lines (id) ON DELETE CASCADE; CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE SET NULL);
      INSERT INTO rows VALUES ('r', 0, NULL); INSERT INTO lines VALUES ('l', 'r'); INSERT INTO rows VALUES ('s', 0, 'l')`,
    'to themselves': `ALTER TABLE rows ADD above TEXT REFERENCES rows (id) ON DELETE CASCADE; CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE CASCADE, above TEXT REFERENCES lines (id) ON DELETE CASCADE);
      INSERT INTO rows VALUES ('r', 0, NULL), ('s', 0, 'r'); INSERT INTO lines VALUES ('l', 'r', NULL), ('m', 's', 'l')`,
    'by keys that follow other keys': `CREATE TABLE lines (id TEXT UNIQUE REFERENCES lines (code) ON DELETE SET NULL, code TEXT UNIQUE, row TEXT REFERENCES rows (id) ON DELETE CASCADE); CREATE TABLE parts (line TEXT REFERENCES lines (id) ON UPDATE CASCADE);
      INSERT INTO rows VALUES ('r', 0); INSERT INTO lines VALUES (NULL, 'x', 'r'), ('x', 'y', 'r'); INSERT INTO parts VALUES ('x')`,
    'by keys that restrict': `CREATE TABLE lines (id TEXT PRIMARY KEY, row TEXT REFERENCES rows (id) ON DELETE CASCADE); CREATE TABLE parts (line TEXT REFERENCES lines (id) ON DELETE RESTRICT, row TEXT REFERENCES rows (id) ON DELETE RESTRICT);
      INSERT INTO rows VALUES ('r', 0); INSERT INTO lines VALUES ('l', 'r'); INSERT INTO parts VALUES ('l', 'r')`,
    'while triggers count them': `CREATE TABLE "order" (row TEXT REFERENCES rows (id) ON DELETE CASCADE); CREATE TRIGGER came AFTER INSERT ON "order" BEGIN UPDATE rows SET n = n + 1; END; CREATE TRIGGER went AFTER DELETE ON "order" BEGIN UPDATE rows SET n = n - 10; END;
      INSERT INTO rows VALUES ('r', 0); INSERT INTO "order" VALUES ('r')`,
  }
  for (const [shape, made] of Object.entries(shapes)) {
    it(`keeps all rows of all tables that refer to the one that is made anew: ${shape}`, () =>
      inSqliteWorld({}, async (world) => {
        const before = {
          ...notes,
          '0002-rows': `CREATE TABLE rows (id TEXT UNIQUE ON CONFLICT ROLLBACK, n INTEGER); ${made}`,
        }
        await makeUnseen(world, before)
        const look = (): unknown => {
          const database = openDatabase(world.fileOf('orders'), { applicationId: 0, formatVersion: 0, readonly: true })
          try {
            const tables = database
              .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'atoll_%'`)
              .pluck()
              .all()
              .toSorted()
            const triggers = database
              .prepare(`SELECT sql FROM sqlite_schema WHERE type = 'trigger'`)
              .pluck()
              .all()
              .toSorted()
            return {
              triggers,
              rows: tables.map((table) => [
                table,
                database
                  .prepare(`SELECT * FROM "${String(table)}"`)
                  .raw()
                  .all(),
              ]),
            }
          } finally {
            database.close()
          }
        }
        const there = look()
        const refusal = await world.open(before).then(
          () => '',
          (error: Error) => error.message,
        )
        const proposed = /write a new one: (.*); the triggers of the table anew/s.exec(refusal)?.[1]
        assert.ok(proposed, refusal)
        const columns = made.match(/(?<=ALTER TABLE rows ADD )[^;]*/g) ?? []
        const store = await world.open({
          ...before,
          '0003-mended': proposed.replace(
            /the table anew[^;]*/,
            `CREATE TABLE rows (${['id TEXT UNIQUE', 'n INTEGER', ...columns].join(', ')})`,
          ),
        })
        await store.close()
        assert.deepEqual(look(), there)
      }))
  }
})

/** A store as an older version made it, which did not look at what migrations say. */
async function makeUnseen(world: SqliteWorld, migrations: Readonly<Record<string, string>>): Promise<void> {
  const { digest, now } = createNodeHost()
  const store = await world.open({ '0000-none': '' })
  const { database } = store.connection
  database.exec('DELETE FROM atoll_migrations')
  for (const [name, sql] of Object.entries(migrations)) {
    database.exec(sql)
    database
      .prepare('INSERT INTO atoll_migrations (name, digest, applied_at) VALUES (?, ?, ?)')
      .run(name, digest(sql), now())
  }
  await store.close()
}

describe('a search index at odds with its content', () => {
  it('fails the works that search it, and is no damage of the store', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open({
        ...notes,
        '0002-search': `CREATE VIRTUAL TABLE search USING fts5 (text, content='notes'); INSERT INTO search (rowid, text) VALUES (7, 'gone')`,
      })
      let blamed: unknown
      const find = { sql: `SELECT text FROM search WHERE search MATCH 'gone'` }
      await assert.rejects(
        store.write((tx) => tx.all(find).finally(() => (blamed = tx.storeFailure))),
        { code: 'INTERNAL', message: /rebuild/ },
      )
      await assert.rejects(store.reader.all(find), { code: 'INTERNAL' })
      assert.equal(blamed, undefined)
      await store.write((tx) => tx.run({ sql: `INSERT INTO search (search) VALUES ('rebuild')` }))
      assert.deepEqual(await store.reader.all(find), [])
    }))
})

describe('a savepoint', () => {
  it('takes its hooks with it when it is undone', () =>
    withStore(async (store) => {
      const called: string[] = []
      await store.write(async (tx) => {
        const hook = (name: string): void => tx.beforeCommit({ name }, async () => void called.push(name))
        hook('before')
        await tx.savepoint(async () => (hook('undone'), Promise.reject(new Error('wanted')))).catch(() => {})
        hook('after')
      })
      assert.deepEqual(called, ['before', 'after'])
    }))
})

describe('a store with deferred foreign keys', () => {
  it('fails only the work that leaves one broken, though only a commit can tell', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open({
        ...notes,
        '0002-replies':
          'CREATE TABLE replies (note TEXT REFERENCES notes (text) DEFERRABLE INITIALLY /* at the commit */ DEFERRED)',
      })
      const reply =
        (text: string) =>
        (tx: Transaction): Promise<number> =>
          tx.run({ sql: 'INSERT INTO replies (note) VALUES (?)' }, [text])
      const outcomes = await Promise.allSettled([
        store.write(note('a')),
        store.write(reply('nothing')),
        store.write(async (tx) => (await reply('b')(tx), await note('b')(tx))),
      ])
      assert.deepEqual(
        outcomes.map((outcome) => outcome.status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(await texts(store), ['a', 'b'])
    }))
})

describe('a constraint that waits for the commit, made by a work', () => {
  it('is found out at a commit that several share, which costs none of them anything; from then on each is alone, and fails alone', () =>
    withStore(async (store) => {
      await store.write((tx) =>
        tx.run({ sql: 'CREATE TABLE replies (note TEXT REFERENCES notes (text) DEFERRABLE INITIALLY DEFERRED)' }),
      )
      const round = async (): Promise<unknown[]> => {
        const writes = [
          note('a'),
          (tx: Transaction) => tx.run({ sql: `INSERT INTO replies (note) VALUES ('nothing')` }),
          note('b'),
        ]
        const outcomes = await Promise.allSettled(writes.map((work) => store.write(work)))
        return outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : outcome.status))
      }
      assert.deepEqual(await round(), ['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'])
      assert.deepEqual(await round(), ['fulfilled', 'INTERNAL', 'fulfilled'])
      assert.deepEqual(await texts(store), ['a', 'b'])
    }))

  it('has works commit alone for a while, and not for ever; and again after the next one that breaks it', () =>
    withStore(async (store) => {
      await store.write((tx) =>
        tx.run({ sql: 'CREATE TABLE replies (note TEXT REFERENCES notes (text) DEFERRABLE INITIALLY DEFERRED)' }),
      )
      const reply = (tx: Transaction): Promise<number> =>
        tx.run({ sql: `INSERT INTO replies (note) VALUES ('nothing')` })
      /** How many commits it takes for four works that are ready together. */
      const commitsOfFour = async (): Promise<number> => {
        const commits = await Promise.all([0, 1, 2, 3].map(() => store.write(async ({ commit }) => commit)))
        return new Set(commits).size
      }
      assert.equal(await commitsOfFour(), 1)
      for (const breaking of [
        () => Promise.allSettled([store.write(reply), store.write(reply)]),
        () => Promise.allSettled([store.write(reply)]),
      ]) {
        await breaking()
        const sizes = new Set<number>()
        for (let round = 0; round < 1_000 && !sizes.has(1); round++) sizes.add(await commitsOfFour())
        assert.deepEqual([...sizes], [4, 2, 1])
      }
    }))
})

function makeFull({ connection: { database } }: SqliteStore): void {
  database.pragma(`max_page_count = ${database.pragma('page_count', { simple: true })}`)
}

function makeRoom({ connection: { database } }: SqliteStore): void {
  database.pragma('max_page_count = 1000000')
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from './definition.ts'
import { meaningTokens } from './drivers/postgres/sql.ts'
import { tokenize } from './drivers/sqlite/sql.ts'
import { assertOwnUntouched } from './own-tables.ts'

const engines = { SQLite: tokenize, PostgreSQL: meaningTokens }

const written = [
  'DELETE FROM atoll_leases',
  'delete from Atoll_Leases where 1 = 1',
  'DELETE FROM ONLY "shop_orders" . "atoll_leases"',
  'UPDATE /* the */ atoll_cursors SET number = 7',
  'INSERT INTO atoll_outbox (seq) VALUES (1)',
  'WITH gone AS (DELETE FROM atoll_outbox RETURNING seq) SELECT seq FROM gone',
  'WITH a$$ AS (DELETE FROM atoll_outbox RETURNING seq) SELECT seq FROM a$$',
  'DROP TABLE IF EXISTS orders, atoll_outbox',
  'DROP INDEX atoll_held_key',
  'ALTER TABLE atoll_held DROP COLUMN key',
  'ALTER TABLE orders RENAME TO atoll_orders',
  'CREATE TABLE IF NOT EXISTS atoll_orders (id TEXT)',
  'CREATE TABLE lines (event INTEGER REFERENCES atoll_outbox (seq))',
  'CREATE UNIQUE INDEX mine ON atoll_held (id)',
  'CREATE TRIGGER mine AFTER UPDATE OF id ON atoll_held BEGIN SELECT 1; END',
  'CREATE TRIGGER mine AFTER INSERT ON orders BEGIN UPDATE orders SET id = 1; DELETE FROM atoll_held; END',
  'CREATE VIEW atoll_orders AS SELECT * FROM orders',
  'SELECT 1; DELETE FROM atoll_leases',
]

const read = [
  'SELECT count(*) FROM atoll_outbox',
  'SELECT * FROM orders JOIN atoll_held ON atoll_held.key = orders.id FOR UPDATE OF atoll_held',
  'INSERT INTO stuck SELECT id FROM atoll_held',
  'UPDATE orders SET atoll_id = (SELECT max(seq) FROM atoll_outbox) WHERE id IN (SELECT key FROM atoll_held)',
  'DELETE FROM orders WHERE id IN (SELECT key FROM atoll_held)',
  'CREATE TABLE orders (id TEXT, atoll_id TEXT)',
  'ALTER TABLE orders RENAME COLUMN id TO atoll_id',
  'CREATE INDEX orders_atoll ON orders (atoll_id)',
  'CREATE VIEW stuck AS SELECT * FROM orders JOIN atoll_held ON atoll_held.key = orders.id',
  `INSERT INTO orders (id) VALUES ('DELETE FROM atoll_leases'), ('it''s "atoll_leases"')`,
  'INSERT INTO orders (id) VALUES (1) ON CONFLICT DO UPDATE SET atoll_id = 1 -- DELETE FROM atoll_leases',
  'DELETE FROM orders /* and not: DELETE FROM atoll_leases */',
  'DELETE FROM my_atoll_orders',
]

const ofOneEngine: Record<keyof typeof engines, { written: readonly string[]; read: readonly string[] }> = {
  SQLite: {
    written: [
      'DELETE FROM [atoll_leases]',
      'DELETE FROM `main`.`atoll_leases`',
      `DELETE FROM 'atoll_leases'`,
      'UPDATE OR IGNORE atoll_held SET id = 1',
      'REPLACE INTO atoll_held (id) VALUES (1)',
      `INSERT OR REPLACE INTO "atoll_held" VALUES ('\\'), ('\\')`,
      'DELETE FROM sqlite_sequence',
      `DELETE FROM 'sqlite_sequence'`,
      'UPDATE "sqlite_sequence" SET seq = 0 WHERE name = ?',
      `UPDATE sqlite_sequence SET seq = 0 WHERE name = 'atoll_outbox'`,
    ],
    read: [
      'INSERT OR IGNORE INTO orders SELECT id FROM atoll_held',
      `SELECT '\\' FROM atoll_held`,
      'DELETE FROM orders /* DELETE FROM atoll_leases',
      'SELECT seq FROM sqlite_sequence',
      `UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'orders'`,
    ],
  },
  PostgreSQL: {
    written: [
      'TRUNCATE orders, atoll_outbox',
      'DELETE FROM ONLY (atoll_leases)',
      'WITH gone AS (DELETE FROM ONLY ( "shop_orders"."atoll_held" ) RETURNING id) SELECT id FROM gone',
      'UPDATE ONLY (atoll_leases) SET epoch = 0',
      'TRUNCATE ONLY (atoll_leases)',
      'TRUNCATE TABLE orders, ONLY (atoll_leases)',
      'MERGE INTO ONLY (atoll_leases) t USING orders ON true WHEN MATCHED THEN DELETE',
      'ALTER TABLE ONLY (atoll_leases) ADD x int',
      'CREATE INDEX mine ON ONLY (atoll_held) (id)',
      'ALTER TABLE orders ATTACH PARTITION atoll_leases DEFAULT',
      'ALTER TABLE orders DETACH PARTITION atoll_leases',
      'CREATE TABLE orders PARTITION OF atoll_leases DEFAULT',
      'MERGE INTO atoll_held USING orders ON true WHEN MATCHED THEN DELETE',
      'COMMENT ON TABLE atoll_held IS NULL',
      'DELETE FROM U&"\\0061toll_leases"',
      `SELECT E'\\'' ; DELETE FROM atoll_leases; SELECT '`,
      `/* /* */ ' */ DELETE FROM atoll_leases -- '`,
      '-- \r DELETE FROM atoll_leases',
      'CREATE OR REPLACE FUNCTION clean() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN DELETE FROM atoll_leases; END $body$',
      `SELECT setval('atoll_outbox_seq_seq', 1)`,
      `SELECT setval(pg_get_serial_sequence('shop_orders.atoll_outbox', 'seq'), 1)`,
      'CREATE RULE mine AS ON INSERT TO atoll_outbox DO NOTHING',
    ],
    read: [
      `SELECT setval('orders_seq', 1000)`,
      'SELECT count(*) FROM ONLY (atoll_held)',
      'SELECT row_number() OVER (PARTITION BY atoll_held.key) FROM atoll_held',
      'ALTER SEQUENCE orders_seq OWNED BY orders.id',
      'SELECT owned FROM orders',
      `SELECT $$ DELETE FROM atoll_leases $$`,
      `UPDATE orders SET id = E'it\\'s; DELETE FROM atoll_leases'`,
      '/* /* */ DELETE FROM atoll_leases */ SELECT 1',
    ],
  },
}

for (const engine of ['SQLite', 'PostgreSQL'] as const) {
  describe(`the SQL of a service, for ${engine}`, () => {
    for (const sql of [...written, ...ofOneEngine[engine].written]) {
      it(`does not write what is the runtime's: ${sql}`, () =>
        assert.throws(() => assertOwnUntouched(sql, engines[engine]), {
          code: 'UNSUPPORTED',
          message: /atoll_|0061toll|sqlite_sequence/i,
        }))
    }
    for (const sql of [...read, ...ofOneEngine[engine].read])
      it(`may read and mention it: ${sql}`, () => assertOwnUntouched(sql, engines[engine]))
  })
}

describe('the SQL of a service, for PostgreSQL, that names nothing and means all that a role has,', () => {
  const all = [
    'DROP OWNED BY CURRENT_USER',
    'SELECT 1; drop owned by shop CASCADE',
    'REASSIGN OWNED BY shop TO other',
    'DO $$ BEGIN DROP OWNED BY CURRENT_USER; END $$',
    'DO $$ BEGIN IF true THEN DROP /* all */ OWNED BY CURRENT_USER; END IF; END $$',
    'CREATE FUNCTION clean() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN REASSIGN OWNED BY shop TO other; END $body$',
    'DROP SCHEMA shop_orders CASCADE',
    'drop/**/schema IF EXISTS "shop_orders"',
    'DO $$ BEGIN ALTER TABLE orders DROP total; DROP SCHEMA shop_orders CASCADE; END $$',
    'ALTER SCHEMA shop_orders RENAME TO other',
  ]
  for (const sql of all) {
    it(`does not touch what is the runtime's: ${sql}`, () =>
      assert.throws(() => assertOwnUntouched(sql, meaningTokens), { code: 'UNSUPPORTED', message: /OWNED|SCHEMA/ }))
  }
  for (const sql of [
    'ALTER TABLE orders DROP schema',
    'ALTER TABLE orders DROP owned',
    'ALTER TABLE orders ALTER schema SET NOT NULL',
    'CREATE TABLE orders (schema TEXT, owned TEXT)',
    `SELECT 'DROP SCHEMA shop_orders', schema FROM orders`,
    'DO $$ BEGIN IF true THEN ALTER TABLE orders DROP schema; END IF; END $$',
  ]) {
    it(`may have columns that are called so: ${sql}`, () => {
      for (const read of Object.values(engines)) assertOwnUntouched(sql, read)
    })
  }
})

describe('a migration of a service', () => {
  it("is not called as the runtime's are", () => {
    assert.throws(() => sqlStore({ migrations: { 'atoll-0001-runtime': 'CREATE TABLE orders (id TEXT)' } }), {
      code: 'DEFINITION_INVALID',
    })
  })
})

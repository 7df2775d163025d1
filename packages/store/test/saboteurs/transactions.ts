import { AtollError } from '@atoll/host'
import { PostgresQueryCompiler } from 'kysely'
import type { Queries, StoreDriver, Transaction, Value } from '../../src/driver.ts'
import {
  calledDone,
  changed,
  changingReaders,
  changingTransactions,
  changingWrites,
  Undo,
  type Saboteur,
} from './saboteur.ts'

export const transactionSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it acknowledges what it has not committed',
    caughtBy: ['tx.committed', 'savepoint.keeps'],
    spoil: changingWrites(
      (store) => (work) => store.write(async (tx) => Promise.reject(new Undo(await work(tx)))).catch(calledDone),
    ),
  },
  {
    breaks: 'it answers nothing',
    caughtBy: ['tx.result'],
    spoil: changingWrites((store) => async (work) => void (await store.write(work))),
  },
  {
    breaks: 'it forgets to roll back',
    caughtBy: ['tx.undone', 'savepoint.rejects'],
    spoil: changingWrites((store) => async (work) => {
      let failure: unknown
      const result = await store.write((tx) => work(tx).catch((error: unknown) => void (failure = error)))
      if (failure) throw failure
      return result
    }),
  },
  {
    breaks: 'it swallows errors',
    caughtBy: ['tx.rejects', 'tx.failed-statement', 'group.failing-alone'],
    spoil: changingWrites((store) => (work) => store.write(work).catch(() => undefined)),
  },
  {
    breaks: 'it has no eye for a work that throws before it returns a promise',
    caughtBy: ['tx.rejects-at-once'],
    spoil: changingWrites(
      (store) => (work) =>
        store.write((tx) => {
          try {
            return work(tx)
          } catch {
            return new Promise(() => {})
          }
        }),
    ),
  },
  {
    breaks: 'it writes at the end of the commit only',
    caughtBy: ['tx.sees-itself', 'tx.sees-earlier'],
    spoil: changingTransactions((tx) => ({
      async run(statement, params) {
        tx.beforeCommit({}, async (queries) => void (await queries.run(statement, params)))
        return 1
      },
    })),
  },
  {
    breaks: 'it undoes a statement that failed, and goes on',
    caughtBy: ['tx.failed-statement-caught', 'savepoint.failed-statement-caught'],
    spoil: changingTransactions((tx) => ({
      run: (statement, params) => tx.savepoint(() => tx.run(statement, params)),
    })),
  },
  {
    breaks: 'it takes what is wrong with a statement for trouble of its own',
    caughtBy: ['tx.own-failure'],
    spoil: changingTransactions((tx) => ({
      run: (statement, params) =>
        tx
          .run(statement, params)
          .catch((error: AtollError) => Promise.reject(new AtollError('UNAVAILABLE', error.message))),
    })),
  },
  {
    breaks: 'it takes every failure for trouble of its own',
    caughtBy: ['tx.checked-at-commit'],
    spoil: changingWrites(
      (store) => (work) =>
        store.write(work).catch((error: Error) => Promise.reject(new AtollError('UNAVAILABLE', error.message))),
    ),
  },
  {
    breaks: 'it says that every statement changed one row',
    caughtBy: ['tx.changes', 'kysely.counts'],
    spoil: changingTransactions((tx) => ({ run: (statement, params) => tx.run(statement, params).then(() => 1) })),
  },
  {
    breaks: 'it answers the number of rows for the key of the row',
    caughtBy: ['tx.insert'],
    spoil: changingTransactions((tx) => ({ insert: (statement, params) => tx.run(statement, params) })),
  },
  {
    breaks: 'it takes its time over statements that change something, and none over those that look',
    caughtBy: ['tx.order'],
    spoil: changingTransactions((tx) => ({
      run: (statement, params) => Promise.resolve().then(() => tx.run(statement, params)),
    })),
  },
  {
    breaks: 'it keeps what is sent for the end of the commit',
    caughtBy: ['send.order'],
    spoil: changingTransactions((tx) => ({
      send: (statement, params, onKey) =>
        tx.beforeCommit({}, async (queries) => onKey(await queries.insert(statement, params))),
    })),
  },
  {
    breaks: 'it keeps what is sent for a transaction of its own',
    caughtBy: ['send.order', 'send.undone', 'send.fails'],
    spoil: changingTransactions((_tx, store) => ({
      send: (statement, params, onKey) =>
        void store.write((own) => own.insert(statement, params)).then(onKey, () => {}),
    })),
  },
  {
    breaks: 'it does not mind when a row that was sent is not taken',
    caughtBy: ['send.fails'],
    spoil: changingTransactions((tx) => ({
      send: (statement, params, onKey) => void tx.savepoint(() => tx.insert(statement, params)).then(onKey, () => {}),
    })),
  },
  {
    breaks: 'it runs the last row of many first',
    caughtBy: ['tx.run-each'],
    spoil: changingTransactions((tx) => ({ runEach: (statement, rows) => tx.runEach(statement, [...rows].reverse()) })),
  },
  {
    breaks: 'it answers the last row for the first',
    caughtBy: ['tx.first'],
    spoil: changingTransactions((tx) => ({
      get: async <R>(...[statement, params]: Parameters<Queries['get']>) => (await tx.all<R>(statement, params)).at(-1),
    })),
  },
]

export const savepointSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it does not undo a savepoint',
    caughtBy: ['savepoint.undoes', 'savepoint.nested', 'savepoint.failed-statement'],
    spoil: changingTransactions(() => ({ savepoint: (work) => work() })),
  },
  {
    breaks: 'it undoes every savepoint',
    caughtBy: ['savepoint.keeps'],
    spoil: changingTransactions((tx) => ({
      async savepoint<T>(work: () => Promise<T>) {
        const done: T[] = []
        await tx
          .savepoint(async () => Promise.reject(done.push(await work())))
          .catch((error: unknown) => (done.length > 0 ? undefined : Promise.reject(error)))
        return done[0]!
      },
    })),
  },
  {
    breaks: 'it swallows the error of a savepoint',
    caughtBy: ['savepoint.rejects', 'savepoint.failed-statement'],
    spoil: changingTransactions((tx) => ({
      savepoint: <T>(work: () => Promise<T>) => tx.savepoint(work).catch(() => undefined as T),
    })), // the lie is the point
  },
  {
    breaks: 'it takes a savepoint within a savepoint for a part of the outer one',
    caughtBy: ['savepoint.nested'],
    spoil: changingTransactions((tx) => {
      let depth = 0
      return {
        async savepoint(work) {
          depth++
          try {
            return await (depth > 1 ? work() : tx.savepoint(work))
          } finally {
            depth--
          }
        },
      }
    }),
  },
  {
    breaks: 'it gives a transaction up after a statement that failed',
    caughtBy: ['savepoint.failed-statement'],
    spoil: changingTransactions((tx) => {
      let failure: unknown
      return {
        run: (statement, params) =>
          failure
            ? Promise.reject(failure)
            : tx.run(statement, params).catch((error: unknown) => Promise.reject((failure = error))),
      }
    }),
  },
]

export const valueSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it answers what was computed as text',
    caughtBy: ['value.truth'],
    spoil: changingReaders((reader) => ({
      get: async <R>(...[statement, params]: Parameters<Queries['get']>) => {
        const row = await reader.get(statement, params)
        return row && (Object.fromEntries(Object.entries(row).map(([column, value]) => [column, String(value)])) as R)
      },
    })),
  },
  {
    breaks: 'it leaves the character U+0000 out',
    caughtBy: ['value.refused'],
    spoil: changingValues((value) => (typeof value === 'string' ? value.replaceAll('\0', '') : value)),
  },
  {
    breaks: 'it makes a character of half of one',
    caughtBy: ['value.refused'],
    spoil: changingValues((value) => (typeof value === 'string' ? value.toWellFormed() : value)),
  },
  {
    breaks: 'it takes NaN for null',
    caughtBy: ['value.refused'],
    spoil: changingValues((value) => (Number.isNaN(value) ? null : value)),
  },
  {
    breaks: 'it takes true for 1',
    caughtBy: ['value.refused'],
    spoil: changingValues((value) => ((value as unknown) === true ? 1 : value)),
  }, // as JavaScript would give it
  {
    breaks: 'it rounds integers when it reads',
    caughtBy: ['value.large'],
    spoil: changingReaders((reader) => ({
      all: async <R>(...[statement, params]: Parameters<Queries['all']>) => {
        const rows = await reader.all(statement, params)
        return rows.map(
          (row) =>
            Object.fromEntries(
              Object.entries(row).map(([column, value]) => [column, typeof value === 'bigint' ? Number(value) : value]),
            ) as R,
        ) // the caller knows its columns
      },
    })),
  },
  {
    breaks: 'it takes an empty text for null',
    caughtBy: ['value.null'],
    spoil: changingValues((value) => (value === '' ? null : value)),
  },
  {
    breaks: 'it composes what was written decomposed',
    caughtBy: ['value.text'],
    spoil: changingValues((value) => (typeof value === 'string' ? value.normalize() : value)),
  },
  {
    breaks: 'it knows 32 bits of an integer',
    caughtBy: ['value.integer'],
    spoil: changingValues((value) => (Number.isInteger(value) ? Number(value) | 0 : value)),
  },
  {
    breaks: 'it keeps fractions in single precision',
    caughtBy: ['value.fraction'],
    spoil: changingValues((value) => (typeof value === 'number' ? Math.fround(value) : value)),
  },
  {
    breaks: 'it writes the whole buffer for a part of it',
    caughtBy: ['value.bytes'],
    spoil: changingValues((value) => (value instanceof Uint8Array ? new Uint8Array(value.buffer) : value)),
  },
  {
    breaks: 'it does not know bigints',
    caughtBy: ['value.bigint'],
    spoil: changingValues((value) => {
      if (typeof value === 'bigint') throw new TypeError('what is a bigint?')
      return value
    }),
  },
  {
    breaks: 'it puts texts into the SQL',
    caughtBy: ['value.parameter'],
    spoil: changingTransactions((tx) => ({
      run(statement, params = []) {
        const texts = params.filter((value) => typeof value === 'string')
        const others = params.filter((value) => typeof value !== 'string')
        const place = params.findIndex((value) => typeof value === 'string')
        let index = 0
        return tx.run({ sql: statement.sql.replaceAll('?', () => (index++ === place ? `'${texts[0]}'` : '?')) }, [
          ...others,
          ...texts.slice(1),
        ])
      },
    })),
  },
]

export const kyselySaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it shows another transaction each time',
    caughtBy: ['kysely.unexecuted'],
    spoil: changingWrites(
      (store) => (work) => store.write((tx) => work(new Proxy(changed(tx, {}), { set: () => true }))),
    ), // whatever is kept with it is gone
  },
  {
    breaks: 'it has Kysely write the SQL of another database',
    caughtBy: ['kysely.transaction'],
    spoil: changingTransactions((tx) => ({
      dialect: { ...tx.dialect, createQueryCompiler: () => new PostgresQueryCompiler() },
    })),
  },
  {
    breaks: 'it forgets whose a statement is',
    caughtBy: ['kysely.own-tables'],
    spoil: changingTransactions((tx) => ({
      run: ({ sql }, params) => tx.run({ sql }, params),
      all: ({ sql }, params) => tx.all({ sql }, params),
    })),
  },
  {
    breaks: 'it keeps back what a statement returns',
    caughtBy: ['kysely.returning'],
    spoil: changingTransactions((tx) => ({
      all: async (statement, params) =>
        /returning/i.test(statement.sql) ? (await tx.run(statement, params), []) : tx.all(statement, params),
    })),
  },
]

/** Values go through `change` before they are written. */
function changingValues(change: (value: Value) => Value): (driver: StoreDriver) => StoreDriver {
  return changingWrites(
    (store) => (work) =>
      store.write((tx: Transaction) =>
        work(changed(tx, { run: async (statement, params = []) => tx.run(statement, params.map(change)) })),
      ),
  )
}

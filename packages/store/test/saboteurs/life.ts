import { AtollError } from '@atoll/host'
import type { Queries, Reader, Store } from '../../src/driver.ts'
import {
  calledDone,
  changed,
  changingReaders,
  changingStores,
  changingWrites,
  turn,
  Undo,
  type Saboteur,
} from './saboteur.ts'

export const readerSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'its reader sees what is not committed',
    caughtBy: ['reader.committed-only', 'reader.commit-done', 'reader.no-half'],
    spoil: changingStores((store) => {
      let open: Queries | undefined
      const whileOpen = async <T>(queries: Queries, work: () => Promise<T>): Promise<T> => {
        open = queries
        try {
          return await work()
        } finally {
          open = undefined
        }
      }
      return {
        write: (work) =>
          store.write((tx) => {
            const spied = changed(tx, {
              beforeCommit: (key, hook) => tx.beforeCommit(key, (queries) => whileOpen(queries, () => hook(queries))),
            })
            return whileOpen(tx, () => work(spied))
          }),
        reader: reading(store.reader, <R>(...[statement, params]: Parameters<Queries['all']>) =>
          (open ?? store.reader).all<R>(statement, params),
        ),
      }
    }),
  },
  {
    breaks: 'its reader waits for the writer',
    kind: 'files',
    caughtBy: ['reader.never-waits'],
    spoil: changingStores((store) => {
      let last: Promise<unknown> | undefined
      return {
        write: (work) => {
          const mine = store.write(work)
          last = mine.catch(() => 'told to its caller')
          return mine
        },
        reader: reading(store.reader, async (statement, params) => (await last, store.reader.all(statement, params))),
      }
    }),
  },
  {
    breaks: 'its reader writes',
    caughtBy: [
      'reader.refuses-run',
      'reader.refuses-insert',
      'reader.refuses-runEach',
      'reader.refuses-get',
      'reader.refuses-all',
      'kysely.reader',
    ],
    spoil: changingReaders((reader, _driver, store) =>
      store
        ? {
            run: (statement, params) => store.write((tx) => tx.run(statement, params)),
            insert: (statement, params) => store.write((tx) => tx.insert(statement, params)),
            runEach: (statement, rows) => store.write((tx) => tx.runEach(statement, rows)),
            get: <R>(...[statement, params]: Parameters<Queries['get']>) =>
              store.write((tx) => tx.get<R>(statement, params)),
            all: <R>(...[statement, params]: Parameters<Queries['all']>) =>
              store.write((tx) => tx.all<R>(statement, params)),
          }
        : { close: () => reader.close() },
    ),
  },
]

export const readersSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it reads the first of several stores alone',
    kind: 'files',
    caughtBy: ['readers.each', 'readers.joins'],
    spoil: (driver) => ({ ...driver, openReader: (names) => driver.openReader(names.slice(0, 1)) }),
  },
  {
    breaks: 'it takes the last store that has a table',
    caughtBy: ['readers.first'],
    spoil: (driver) => ({ ...driver, openReader: (names) => driver.openReader([...names].reverse()) }),
  },
  {
    breaks: 'it leaves out a store whose tables another has',
    caughtBy: ['readers.twins'],
    spoil: (driver) => ({
      ...driver,
      openReader(names) {
        try {
          return driver.openReader(names)
        } catch (error) {
          if (error instanceof AtollError && error.code === 'DEFINITION_INVALID')
            return driver.openReader(names.slice(0, 1))
          throw error
        }
      },
    }),
  },
  {
    breaks: 'it reads what was there when it was first asked',
    caughtBy: ['readers.current'],
    spoil: changingReaders((reader) => {
      const answers = new Map<string, unknown[]>()
      return {
        async all<R>(...[statement, params]: Parameters<Queries['all']>) {
          if (!answers.has(statement.sql)) answers.set(statement.sql, await reader.all(statement, params))
          return answers.get(statement.sql) as R[] // of the same statement
        },
      }
    }),
  },
  {
    breaks: 'it closes the stores with their reader',
    caughtBy: ['readers.closed-alone'],
    spoil: changingReaders((_reader, driver) => ({ close: () => driver.close() })),
  },
  {
    breaks: 'it reads past stores that are not open',
    caughtBy: ['readers.not-open'],
    spoil: (driver) => ({
      ...driver,
      openReader(names) {
        try {
          return driver.openReader(names)
        } catch {
          return driver.openReader(names.slice(0, 1))
        }
      },
    }),
  },
]

export const overloadSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it refuses when half as many wait',
    caughtBy: ['overload.up-to', 'group.many'],
    spoil: (driver) => changingWrites(limited(() => ({ count: 0 }), driver.capabilities.writesQueuedMax / 2))(driver),
  },
  {
    breaks: 'it writes what it refused',
    caughtBy: ['overload.beyond', 'overload.over'],
    spoil: changingWrites(
      (store) => (work) =>
        store.write(work).catch(async (error: unknown) => {
          if (error instanceof AtollError && error.code === 'OVERLOADED')
            await store.write(work).catch(() => turn().then(() => store.write(work)))
          throw error
        }),
    ),
  },
  {
    breaks: 'it is overloaded for ever',
    caughtBy: ['overload.over'],
    spoil: changingWrites((store) => {
      let overloaded: unknown
      return (work) =>
        overloaded
          ? Promise.reject(overloaded)
          : store.write(work).catch((error: unknown) => {
              if (error instanceof AtollError && error.code === 'OVERLOADED') overloaded = error
              throw error
            })
    }),
  },
  {
    breaks: 'it counts what waits in all stores together',
    caughtBy: ['overload.alone'],
    spoil(driver) {
      const waiting = { count: 0 }
      return changingWrites(limited(() => waiting, driver.capabilities.writesQueuedMax))(driver)
    },
  },
]

export const lifeSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it says of every store that it exists',
    caughtBy: ['life.exists', 'life.removed', 'life.removes-nothing'],
    spoil: (driver) => ({ ...driver, exists: async () => true }),
  },
  {
    breaks: 'it removes what is closed',
    kind: 'files',
    caughtBy: ['life.kept', 'close.keeps-writes'],
    spoil: changingStores((store, driver) => ({ close: () => store.close().then(() => driver.remove(store.name)) })),
  },
  {
    breaks: 'it removes nothing',
    kind: 'files',
    caughtBy: ['life.removed', 'life.in-use'],
    spoil: (driver) => ({ ...driver, remove: async () => {} }),
  },
  {
    breaks: 'it removes stores whose names begin alike',
    kind: 'files',
    caughtBy: ['life.removes-one'],
    spoil: (driver) => ({ ...driver, remove: (name) => driver.remove(name).then(() => driver.remove(`${name}-2`)) }),
  },
  {
    breaks: 'it refuses to remove what is not there',
    caughtBy: ['life.removes-nothing'],
    spoil: (driver) => ({
      ...driver,
      remove: async (name) =>
        (await driver.exists(name)) ? driver.remove(name) : Promise.reject(new Error('there is none')),
    }),
  },
  {
    breaks: 'it opens a store twice',
    caughtBy: ['life.in-use'],
    spoil(driver) {
      const stores = new Map<string, Store>()
      return {
        ...driver,
        async open(name, migrations) {
          if (!stores.has(name)) stores.set(name, await driver.open(name, migrations))
          return stores.get(name)!
        },
      }
    },
  },
  {
    breaks: 'it has one store by all names',
    caughtBy: ['life.apart', 'readers.first', 'readers.twins'],
    spoil(driver) {
      let only: Promise<Store> | undefined
      return { ...driver, open: (name, migrations) => (only ??= driver.open(name, migrations)) }
    },
  },
]

export const closeSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it accepts writes after close, and forgets them',
    caughtBy: ['close.write', 'close.at-once', 'close.driver'],
    spoil: changingWrites((store) => (work) => store.write(work).catch(unlessStoreClosed(undefined))),
  },
  {
    breaks: 'its closed readers find nothing',
    caughtBy: ['close.get', 'close.all', 'close.driver-readers'],
    spoil: changingReaders((reader) => ({
      get: <R>(...[statement, params]: Parameters<Queries['get']>) =>
        reader.get<R>(statement, params).catch(unlessStoreClosed(undefined)),
      all: <R>(...[statement, params]: Parameters<Queries['all']>) =>
        reader.all<R>(statement, params).catch(unlessStoreClosed<R[]>([])),
    })),
  },
  {
    breaks: 'it accepts writes while it closes',
    caughtBy: ['close.at-once'],
    spoil: changingStores((store) => ({ close: () => turn().then(() => store.close()) })),
  },
  {
    breaks: 'it cannot be closed twice',
    caughtBy: ['close.twice'],
    spoil: changingStores((store) => {
      let closed = false
      return {
        async close() {
          if (closed) throw new Error('closed already')
          closed = true
          await store.close()
        },
      }
    }),
  },
  {
    breaks: 'it says that it is closed when it has begun to',
    caughtBy: ['close.settles-writes'],
    spoil: changingStores((store) => ({ close: async () => void store.close() })),
  },
  {
    breaks: 'it loses what is under way when it closes, and acknowledges it',
    kind: 'files',
    caughtBy: ['close.keeps-writes'],
    spoil: changingStores((store) => {
      let closing = false
      return {
        async write<T>(work: Parameters<typeof store.write<T>>[0]) {
          const written = store.write(async (tx) => {
            const result = await work(tx)
            if (closing) throw new Undo(result)
            return result
          })
          return written.catch((error: unknown) => calledDone(error) as T) // the result of this work
        },
        close() {
          closing = true
          return store.close()
        },
      }
    }),
  },
  {
    breaks: 'it fails reads under way with an error of its own when it closes',
    caughtBy: ['close.read-under-way'],
    spoil: changingStores((store) => {
      let closing = false
      return {
        reader: reading(store.reader, async (statement, params) => {
          await turn()
          if (closing) throw new TypeError('handle is gone')
          return store.reader.all(statement, params)
        }),
        close() {
          closing = true
          return store.close()
        },
      }
    }),
  },
  {
    breaks: 'it closes every store with the first',
    caughtBy: ['close.one'],
    spoil: changingStores((_store, driver) => ({ close: () => driver.close() })),
  },
  {
    breaks: 'its stores stay open when it is closed',
    caughtBy: ['close.driver', 'close.driver-readers'],
    spoil: (driver) => ({ ...driver, close: async () => {} }),
  },
]

/** A reader with another `all`. */
function reading(reader: Reader, all: Queries['all']): Reader {
  return {
    dialect: reader.dialect,
    run: (statement, params) => reader.run(statement, params),
    insert: (statement, params) => reader.insert(statement, params),
    runEach: (statement, rows) => reader.runEach(statement, rows),
    get: (statement, params) => reader.get(statement, params),
    all,
    close: () => reader.close(),
  }
}

/** Refuses beyond `max` that are under way, by a count that stores may share. */
function limited(
  countOf: () => { count: number },
  max: number,
): (store: Store) => (work: Parameters<Store['write']>[0]) => Promise<unknown> {
  return (store) => {
    const waiting = countOf()
    return async (work) => {
      if (waiting.count >= max) throw new AtollError('OVERLOADED', 'so it says')
      waiting.count++
      return store.write(work).finally(() => waiting.count--)
    }
  }
}

function unlessStoreClosed<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof AtollError && error.code === 'STORE_CLOSED') return instead
    throw error
  }
}

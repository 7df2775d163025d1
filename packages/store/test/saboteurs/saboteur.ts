import type { Queries, Reader, Store, StoreDriver, Transaction } from '../../src/driver.ts'

/** A driver that breaks one promise, to prove that the suite would notice. */
export interface Saboteur {
  /** What it does wrong, as a sentence that begins with "it". */
  readonly breaks: string
  /** The tests that must fail because of it. Others may fail as well. */
  readonly caughtBy: readonly string[]
  /** What it spoils. In memory, if left out: that is quicker. Files are needed for what is seen by opening again. */
  readonly kind?: 'files'
  spoil(driver: StoreDriver): StoreDriver
}

export type Work<T = unknown> = (tx: Transaction) => Promise<T>
type Write = Store['write']

/** A driver whose stores have some members of their own. */
export function changingStores(
  change: (store: Store, driver: StoreDriver) => Partial<Store>,
): (driver: StoreDriver) => StoreDriver {
  return (driver) => ({
    ...driver,
    async open(name, migrations) {
      const store = await driver.open(name, migrations)
      return { ...store, ...change(store, driver) }
    },
  })
}

/** A driver whose stores write in another way. */
export function changingWrites(
  change: (store: Store, driver: StoreDriver) => (work: Work) => Promise<unknown>,
): (driver: StoreDriver) => StoreDriver {
  // what it answers is part of what it may spoil
  return changingStores((store, driver) => ({ write: change(store, driver) as Write }))
}

/** A driver whose transactions have some members of their own. */
export function changingTransactions(
  change: (tx: Transaction, store: Store) => Partial<Transaction>,
): (driver: StoreDriver) => StoreDriver {
  return changingWrites((store) => (work) => store.write((tx) => work(changed(tx, change(tx, store)))))
}

/** A driver whose readers have some members of their own, each store's and those over several. */
export function changingReaders(
  change: (reader: Reader, driver: StoreDriver, store?: Store) => Partial<Reader>,
): (driver: StoreDriver) => StoreDriver {
  return (driver) => ({
    ...changingStores((store) => ({ reader: changedReader(store.reader, change(store.reader, driver, store)) }))(
      driver,
    ),
    openReader(names) {
      const reader = driver.openReader(names)
      return changedReader(reader, change(reader, driver))
    },
  })
}

/** A transaction with some members of its own. */
export function changed(
  tx: Transaction,
  { undone, storeFailure, refusal, ...members }: Partial<Transaction>,
): Transaction {
  return {
    ...queriesOf(tx),
    commit: tx.commit,
    savepoint: (work) => tx.savepoint(work),
    beforeCommit: (key, hook) => tx.beforeCommit(key, hook),
    send: (statement, params, onKey) => tx.send(statement, params, onKey),
    ...members,
    get refusal() {
      return refusal ?? tx.refusal
    },
    get storeFailure() {
      return storeFailure ?? tx.storeFailure
    },
    get undone() {
      return undone ?? tx.undone
    },
  }
}

function changedReader(reader: Reader, members: Partial<Reader>): Reader {
  return { ...queriesOf(reader), close: () => reader.close(), ...members }
}

function queriesOf(queries: Queries): Queries {
  return {
    dialect: queries.dialect,
    run: (statement, params) => queries.run(statement, params),
    insert: (statement, params) => queries.insert(statement, params),
    runEach: (statement, rows) => queries.runEach(statement, rows),
    get: (statement, params) => queries.get(statement, params),
    all: (statement, params) => queries.all(statement, params),
  }
}

/** The end of this turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What a saboteur throws inside, to have something undone that it then calls done. */
export class Undo extends Error {
  readonly result: unknown

  constructor(result?: unknown) {
    super('undone on purpose')
    this.result = result
  }
}

/** The answer for a work that was undone with {@link Undo}. */
export function calledDone(error: unknown): unknown {
  if (error instanceof Undo) return error.result
  throw error
}

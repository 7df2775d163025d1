import { AtollError } from '@atoll/host'
import type { Queries, Store, StoreDriver, Transaction } from '../../src/driver.ts'
import { changed, changingTransactions, changingWrites, turn, type Saboteur, type Work } from './saboteur.ts'

type Hook = (queries: Queries) => Promise<void>

/** Hooks that were registered in a savepoint under way. */
const inSavepoint = new WeakMap<Transaction, [object, Hook][]>()

export const groupSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it runs what came last first',
    caughtBy: ['group.in-order', 'tx.sees-earlier'],
    spoil: inBatches((store, batch) => batch.reverse().forEach(({ work, settle }) => settle(store.write(work)))),
  },
  {
    breaks: 'it knows no urgent works',
    caughtBy: ['group.urgent-first', 'overload.urgent'],
    spoil: changingWrites((store) => (work) => store.write(work)),
  },
  {
    breaks: 'it runs works beside each other, and one that fails takes its neighbours with it',
    caughtBy: ['group.one-at-a-time', 'group.failing-alone', 'send.behind-a-failure'],
    spoil: inBatches((store, batch) => {
      const all = store.write((tx) => Promise.all(batch.map(({ work }) => work(tx))))
      batch.forEach(({ settle }, index) => settle(all.then((results) => results[index])))
    }),
  },
  {
    breaks: 'it commits each work by itself, and has those that are too many wait for their turn',
    caughtBy: ['group.shared', 'overload.beyond'],
    spoil: changingWrites((store) => {
      let last: Promise<unknown> = Promise.resolve()
      return (work) => {
        const mine = last.then(() => store.write(work))
        last = mine.catch(() => 'told to its caller')
        return mine
      }
    }),
  },
  {
    breaks: 'it says of every commit that it is the same',
    caughtBy: ['group.commit-of-its-own'],
    spoil: (driver) => {
      const commit = {}
      return changingTransactions(() => ({ commit }))(driver)
    },
  },
  {
    breaks: 'it answers before the commit',
    caughtBy: ['group.answered-after-commit', 'group.goes-on', 'hook.last', 'hook.failing'],
    spoil: changingWrites(
      (store) => (work) =>
        new Promise((resolve, reject) => {
          const early: Work = async (tx) => resolve(await work(tx))
          store.write(early).catch(reject)
        }),
    ),
  },
  {
    breaks: 'it tells a work that failed so at once, whatever it had seen',
    caughtBy: ['group.refused-after-commit'],
    spoil: changingWrites(
      (store) => (work) =>
        new Promise((resolve, reject) => {
          const early: Work = (tx) =>
            work(tx).catch((error: unknown) => {
              reject(error)
              throw error
            })
          store.write(early).then(resolve, reject)
        }),
    ),
  },
  {
    breaks: 'it gives up after a commit that failed',
    caughtBy: ['group.goes-on', 'hook.forgotten'],
    spoil: givingUpAfter((error) => error.constructor.name === 'AtollError'),
  },
  {
    breaks: 'it loses one work in ten when there are many',
    caughtBy: ['group.many'],
    spoil: changingWrites((store) => {
      let count = 0
      return async (work) => {
        if (++count % 10 > 0) return store.write(work)
      }
    }),
  },
  {
    breaks: 'it fails the works of all stores when one commit fails',
    caughtBy: ['group.stores-apart'],
    spoil(driver) {
      let failure: unknown
      return changingWrites((store) => async (work) => {
        const result = await store.write(work).catch((error: unknown) => Promise.reject((failure = error)))
        await turn()
        if (failure) throw failure
        return result
      })(driver)
    },
  },
]

export const hookSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it never says that a work was undone',
    caughtBy: ['hook.undone'],
    spoil: changingTransactions(() => ({ undone: false })),
  },
  {
    breaks: 'it runs hooks twice',
    caughtBy: ['hook.once', 'hook.keys'],
    spoil: changingHooks((tx, key, hook) => tx.beforeCommit(key, (queries) => hook(queries).then(() => hook(queries)))),
  },
  {
    breaks: 'it runs every hook, whatever its key',
    caughtBy: ['hook.once'],
    spoil: changingHooks((tx, _key, hook) => tx.beforeCommit({}, hook)),
  },
  {
    breaks: 'it runs one hook per commit, whatever its key',
    caughtBy: ['hook.keys'],
    spoil: changingHooks((tx, _key, hook) => tx.beforeCommit(tx.commit, hook)),
  },
  {
    breaks: 'it runs hooks in a transaction of their own, afterwards',
    caughtBy: ['hook.inside', 'hook.failing', 'hook.last', 'group.answered-after-commit'],
    spoil: changingHooks((tx, key, hook, store) =>
      tx.beforeCommit(key, async () => void store.write(hook).catch(() => 'too late to say so')),
    ),
  },
  {
    breaks: 'it runs a hook where it is registered',
    caughtBy: ['hook.last', 'hook.inside'],
    spoil(driver) {
      const called = new WeakSet<object>()
      return changingHooks((tx, _key, hook) => {
        if (called.has(tx.commit)) return
        called.add(tx.commit)
        void hook(tx).catch(() => 'nobody hears')
      })(driver)
    },
  },
  {
    breaks: 'it runs the hooks of undone works',
    caughtBy: ['hook.undone-work'],
    spoil: changingWrites(
      (store) => (work) =>
        store.write(async (tx) => {
          const hooks: Hook[] = []
          const keeping = changed(tx, { beforeCommit: (key, hook) => (hooks.push(hook), tx.beforeCommit(key, hook)) })
          return work(keeping).catch(async (error: unknown) => {
            for (const hook of hooks) await hook(tx)
            throw error
          })
        }),
    ),
  },
  {
    breaks: 'it runs the hooks of undone savepoints',
    caughtBy: ['hook.undone-savepoint'],
    spoil: changingTransactions((tx) => ({
      async savepoint(work) {
        const hooks: [object, Hook][] = []
        inSavepoint.set(tx, hooks)
        try {
          return await tx.savepoint(work)
        } finally {
          inSavepoint.delete(tx)
          for (const [key, hook] of hooks) tx.beforeCommit(key, hook)
        }
      },
      beforeCommit(key, hook) {
        const hooks = inSavepoint.get(tx)
        if (hooks) hooks.push([key, hook])
        else tx.beforeCommit(key, hook)
      },
    })),
  },
  {
    breaks: 'it swallows the errors of hooks',
    caughtBy: ['hook.failing', 'group.answered-after-commit', 'group.goes-on'],
    spoil: changingHooks((tx, key, hook) => tx.beforeCommit(key, (queries) => hook(queries).catch(() => {}))),
  },
  {
    breaks: 'it runs the hooks of a commit with every later one',
    caughtBy: ['hook.forgotten'],
    spoil: changingWrites((store) => {
      const hooks: [object, Hook][] = []
      return (work) =>
        store.write((tx) => {
          for (const [key, hook] of hooks) tx.beforeCommit(key, hook)
          return work(
            changed(tx, { beforeCommit: (key, hook) => (hooks.push([key, hook]), tx.beforeCommit(key, hook)) }),
          )
        })
    }),
  },
]

export const waitingSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it commits what a work did before it waited',
    caughtBy: ['waiting.refused', 'waiting.closed', 'waiting.savepoint', 'waiting.transaction', 'waiting.goes-on'],
    spoil: changingWrites((store) => (work) => store.write((tx) => Promise.race([work(tx), someSteps()]))),
  },
  {
    breaks: 'it never says TX_CLOSED',
    caughtBy: [
      'waiting.closed',
      'ended.run',
      'ended.insert',
      'ended.runEach',
      'ended.get',
      'ended.all',
      'ended.savepoint',
      'ended.send',
      'ended.beforeCommit',
    ],
    spoil: changingTransactions((tx) => ({
      run: (statement, params) => tx.run(statement, params).catch(unlessClosed(0)),
      insert: (statement, params) => tx.insert(statement, params).catch(unlessClosed(0)),
      runEach: (statement, rows) => tx.runEach(statement, rows).catch(unlessClosed(undefined)),
      get: <R>(...[statement, params]: Parameters<Queries['get']>) =>
        tx.get<R>(statement, params).catch(unlessClosed(undefined)),
      all: <R>(...[statement, params]: Parameters<Queries['all']>) =>
        tx.all<R>(statement, params).catch(unlessClosed<R[]>([])),
      // the lie is the point
      savepoint: <T>(work: () => Promise<T>) => tx.savepoint(work).catch(unlessClosed(undefined as T)),
      send(statement, params, onKey) {
        try {
          tx.send(statement, params, onKey)
        } catch {
          // never said
        }
      },
      beforeCommit(key, hook) {
        try {
          tx.beforeCommit(key, hook)
        } catch {
          // never said
        }
      },
    })),
  },
  {
    breaks: 'it gives up after a work that waited',
    caughtBy: ['waiting.savepoint', 'waiting.transaction'],
    spoil: givingUpAfter((error) => 'code' in error && error.code === 'TX_WAITED'),
  },
  {
    breaks: 'it undoes what came with a work that waited',
    caughtBy: ['waiting.goes-on'],
    spoil: inBatches((store, batch) => {
      const all = store.write(async (tx) => {
        const results: unknown[] = []
        for (const { work } of batch) results.push(await work(tx))
        return results
      })
      batch.forEach(({ settle }, index) => settle(all.then((results) => results[index])))
    }),
  },
]

interface Waiting {
  readonly work: Work
  settle(result: Promise<unknown>): void
}

/** Works that come in one step are handed over together. */
function inBatches(run: (store: Store, batch: Waiting[]) => void): (driver: StoreDriver) => StoreDriver {
  return changingWrites((store) => {
    let batch: Waiting[] = []
    return (work) =>
      new Promise((settle) => {
        if (batch.push({ work, settle }) > 1) return
        queueMicrotask(() => {
          const ready = batch
          batch = []
          run(store, ready)
        })
      })
  })
}

/** Hooks are registered in another way. */
function changingHooks(
  register: (tx: Transaction, key: object, hook: Hook, store: Store) => void,
): (driver: StoreDriver) => StoreDriver {
  return changingTransactions((tx, store) => ({ beforeCommit: (key, hook) => register(tx, key, hook, store) }))
}

/** After such an error, every write of the store is refused. */
function givingUpAfter(isReason: (error: Error) => boolean): (driver: StoreDriver) => StoreDriver {
  return changingWrites((store) => {
    let hasGivenUp = false
    return async (work) => {
      if (hasGivenUp) throw new AtollError('UNAVAILABLE', 'this store has seen enough')
      return store.write(work).catch((error: Error) => {
        hasGivenUp ||= isReason(error)
        throw error
      })
    }
  })
}

function unlessClosed<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof AtollError && error.code === 'TX_CLOSED') return instead
    throw error
  }
}

/** Longer than a work of the suite needs that waits for nothing but its store. */
async function someSteps(): Promise<void> {
  for (let step = 0; step < 500; step++) await Promise.resolve()
}

import { AtollError } from '@atoll/host'
import { textOf, type Migrations, type StoreDriver } from '../../src/driver.ts'
import { changingStores, type Saboteur } from './saboteur.ts'

export const manifestSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it says less of itself than its harness',
    caughtBy: ['manifest.true'],
    spoil: (driver) => ({ ...driver, capabilities: { ...driver.capabilities, writesQueuedMax: 7 } }),
  },
  {
    breaks: 'it calls itself durable, and forgets',
    caughtBy: ['manifest.sound'],
    spoil: (driver) => ({ ...driver, capabilities: { ...driver.capabilities, canBeDurable: true } }),
  },
]

export const migrationSaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it applies migrations in the order of their names',
    caughtBy: ['migration.in-order'],
    spoil: changingMigrations((migrations) =>
      Object.fromEntries(Object.entries(migrations).sort(([a], [b]) => (a < b ? -1 : 1))),
    ),
  },
  {
    breaks: 'it applies the first statement of a migration alone',
    caughtBy: ['migration.several-statements'],
    spoil: changingMigrations((migrations) =>
      Object.fromEntries(
        Object.entries(migrations).map(([name, migration]) => [name, textOf(migration, 'sqlite').split(';')[0]!]),
      ),
    ),
  },
  {
    breaks: 'it takes every migration for one of the runtime',
    caughtBy: ['migration.own-tables'],
    spoil: changingMigrations((migrations) =>
      Object.fromEntries(Object.entries(migrations).map(([name, migration]) => [`atoll-${name}`, migration])),
    ),
  },
  {
    breaks: 'it refuses a store without migrations',
    caughtBy: ['migration.none'],
    spoil: changingMigrations((migrations) => {
      if (Object.keys(migrations).length === 0) throw new AtollError('MIGRATION_FAILED', 'there are none')
      return migrations
    }),
  },
  {
    breaks: 'it forgets which migrations it has applied',
    kind: 'files',
    caughtBy: ['migration.once', 'migration.later', 'life.kept'],
    spoil: changingStores((store) => ({
      async close() {
        await store.write((tx) => tx.run({ sql: 'DELETE FROM atoll_migrations' })).catch(() => 'closed already')
        await store.close()
      },
    })),
  },
  {
    breaks: 'it applies migrations to new stores only',
    kind: 'files',
    caughtBy: ['migration.later', 'migration.changed', 'migration.newer'],
    spoil: changingMigrations((migrations, known) => known ?? migrations),
  },
  {
    breaks: 'it applies new migrations whenever they come',
    kind: 'files',
    caughtBy: ['migration.out-of-order'],
    spoil: changingMigrations((migrations, known = {}) => ({
      ...Object.fromEntries(Object.entries(migrations).filter(([name]) => name in known)),
      ...migrations,
    })),
  },
  {
    breaks: 'it ignores that the text of a migration has changed',
    kind: 'files',
    caughtBy: ['migration.changed'],
    spoil: changingMigrations((migrations, known = {}) =>
      Object.fromEntries(Object.entries(migrations).map(([name, sql]) => [name, known[name] ?? sql])),
    ),
  },
  {
    breaks: 'it opens what is newer than the code',
    kind: 'files',
    caughtBy: ['migration.newer'],
    spoil: changingMigrations((migrations, known) => ({ ...known, ...migrations })),
  },
  {
    breaks: 'it leaves a failed migration out',
    caughtBy: ['migration.failed'],
    spoil: (driver) => ({
      ...driver,
      open: (name, migrations) => driver.open(name, migrations).catch(() => driver.open(name, withoutLast(migrations))),
    }),
  },
  {
    breaks: 'it keeps those migrations that went well before one failed',
    kind: 'files',
    caughtBy: ['migration.all-or-nothing'],
    spoil: (driver) => ({
      ...driver,
      async open(name, migrations) {
        try {
          return await driver.open(name, migrations)
        } catch (error) {
          await driver.open(name, withoutLast(migrations)).then((store) => store.close())
          throw error
        }
      },
    }),
  },
]

/** Migrations go through `change`, which also gets those with which the store was opened first. */
function changingMigrations(
  change: (migrations: Migrations, known?: Migrations) => Migrations,
): (driver: StoreDriver) => StoreDriver {
  return (driver) => {
    const known = new Map<string, Migrations>()
    return {
      ...driver,
      async open(name, migrations) {
        const store = await driver.open(name, change(migrations, known.get(name)))
        if (!known.has(name)) known.set(name, migrations)
        return store
      },
    }
  }
}

function withoutLast(migrations: Migrations): Migrations {
  return Object.fromEntries(Object.entries(migrations).slice(0, -1))
}

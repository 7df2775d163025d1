import type { Examination } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'

/**
 * What SQLite here means for the promises. Each file is checked when it is opened (`openDatabase` sets and reads back what durability
 * needs, and refuses otherwise), so there is nothing left to find but which SQLite this is.
 */
export function examineSqlite(): Examination {
  const database = new BetterSqlite3(':memory:')
  try {
    const version = String(database.prepare('SELECT sqlite_version()').pluck().get())
    return {
      engine: 'SQLite',
      version,
      server: 'SQLite in this process',
      findings: [{ name: 'sqlite.synchronous', value: 'FULL', verdict: 'holds', message: 'every file is opened in WAL mode with synchronous=FULL, and refused if it says otherwise' }],
      survives: { 'process kill': true, 'OS crash': true, 'power loss': true, 'loss of a node': false },
    }
  } finally {
    database.close()
  }
}

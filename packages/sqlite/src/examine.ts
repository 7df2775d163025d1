import type { Examination, Finding } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import { findDataFolder } from './data-folder.ts'
import { openToOthers } from './private.ts'

/**
 * What SQLite here means for the promises. Each file is checked when it is opened (`openDatabase` sets and reads back
 * what durability needs, and refuses otherwise), so there is nothing left to find but which SQLite this is, and who may
 * read the folder of the files.
 */
export function examineSqlite(folder?: string): Examination {
  const database = new BetterSqlite3(':memory:')
  try {
    const version = String(database.prepare('SELECT sqlite_version()').pluck().get())
    return {
      engine: 'SQLite',
      version,
      server: 'SQLite in this process',
      findings: [
        {
          name: 'sqlite.synchronous',
          value: 'FULL',
          verdict: 'holds',
          message: 'every file is opened in WAL mode with synchronous=FULL, and refused if it says otherwise',
        },
        ...privacyOf(folder),
      ],
      survives: { 'process kill': true, 'OS crash': true, 'power loss': true, 'loss of a node': false },
    }
  } finally {
    database.close()
  }
}

/**
 * Each start takes what it may from others: what is still open then belongs to another account, or the folder holds
 * other things as well.
 */
function privacyOf(folder: string | undefined): Finding[] {
  if (folder === undefined || findDataFolder(folder) === undefined) return []
  const open = openToOthers(folder)
  if (!open)
    return [
      {
        name: 'sqlite.private',
        value: 'yes',
        verdict: 'holds',
        message: 'the data folder and its files are for the account that owns them alone',
      },
    ]
  return [
    {
      name: 'sqlite.private',
      value: 'no',
      verdict: 'note',
      message: `other accounts of this machine may open ${open.path} (mode ${open.mode}), and who can read a file of SQLite can lock it: start the system as the account that owns it, or chmod go= it`,
    },
  ]
}

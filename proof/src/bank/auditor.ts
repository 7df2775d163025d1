import { sqlStore } from '@atoll/store'
import { contract, service } from 'atoll'
import { bankNames, type Banks } from './contracts.ts'

/** What an auditor keeps: each transfer that was ever sent, also those from before it came. */
export interface AuditorTables {
  audits: { transfer_id: string; cents: number; times: number }
}

/** Reads what all banks have sent since the beginning. */
export function createAuditor(banks: Banks) {
  return service(contract('auditor', {}), {
    store: sqlStore<AuditorTables>({
      migrations: {
        '0001-audits':
          'CREATE TABLE audits (transfer_id TEXT PRIMARY KEY, cents INTEGER NOT NULL, times INTEGER NOT NULL) STRICT',
      },
    }),
    handlers: {},
    subscribe: ({ project }) =>
      bankNames.map((name) =>
        project(banks[name].sent, ({ data: { transferId, cents } }, { db }) =>
          db
            .insertInto('audits')
            .values({ transfer_id: transferId, cents, times: 1 })
            .onConflict((row) =>
              row.column('transfer_id').doUpdateSet((set) => ({ times: set('audits.times', '+', 1) })),
            )
            .execute(),
        ),
      ),
  })
}

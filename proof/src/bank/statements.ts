import { sqlStore } from '@atoll/store'
import { contract, service } from 'atoll'
import { bankNames, type Banks } from './contracts.ts'

/** What statements keep of each account: how far they have got, and what came otherwise than it should. */
export interface StatementTables {
  statements: { account: string; move: number; cents: number }
  disorders: { account: string; expected: number; came: number }
}

/** Writes down every change of every account, one after the other: each must follow the one before it. */
export function createStatements(banks: Banks) {
  return service(contract('statements', {}), {
    store: sqlStore<StatementTables>({
      migrations: {
        '0001-statements': `
          CREATE TABLE statements (account TEXT PRIMARY KEY, move INTEGER NOT NULL, cents INTEGER NOT NULL) STRICT;
          CREATE TABLE disorders (account TEXT NOT NULL, expected INTEGER NOT NULL, came INTEGER NOT NULL) STRICT;
        `,
      },
    }),
    handlers: {},
    subscribe: ({ on }) =>
      bankNames.map((bank) =>
        on(banks[bank].moved, ({ event: { data }, tx }) =>
          tx(async ({ db }) => {
            const account = `${bank}/${data.account}`
            const before = await db
              .selectFrom('statements')
              .selectAll()
              .where('account', '=', account)
              .executeTakeFirst()
            const expected = (before?.move ?? 0) + 1
            if (data.move !== expected)
              await db.insertInto('disorders').values({ account, expected, came: data.move }).execute()
            const row = { account, move: data.move, cents: (before?.cents ?? 0) + data.cents }
            await db
              .insertInto('statements')
              .values(row)
              .onConflict((known) => known.column('account').doUpdateSet({ move: row.move, cents: row.cents }))
              .execute()
          }),
        ),
      ),
  })
}

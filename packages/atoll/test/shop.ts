import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, projection, query, service, system, type System } from '../src/index.ts'

// Two services and a projection, small enough to know by heart: an account book notes amounts, an auditor copies them.

const Amount = z.object({ account: z.string(), cents: z.int() })

export const noted = event('amount.noted', { version: 1, key: ({ account }) => account, data: Amount })
export const closed = event('account.closed', {
  version: 1,
  key: ({ account }) => account,
  data: z.object({ account: z.string() }),
})

export const book = contract('book', {
  events: [noted, closed],
  note: command({
    http: 'POST /notes',
    auth: 'none',
    input: Amount,
    output: z.object({ account: z.string(), count: z.int() }),
  }),
  close: command({ input: z.object({ account: z.string() }), output: z.void() }),
})

export const audit = contract('audit', {
  total: query({
    http: 'GET /totals/:account',
    auth: 'none',
    input: z.object({ account: z.string() }),
    output: z.object({ cents: z.array(z.int()) }),
  }),
  sums: query({ input: z.object({ account: z.string() }), output: z.object({ cents: z.int() }) }),
})

interface BookTables {
  notes: { seq?: number; account: string; cents: number }
}
interface AuditTables {
  copies: { seq?: number; account: string; cents: number }
}
interface SumTables {
  sums: { account: string; cents: number }
}

/** What a test may make go wrong in the auditor's handler; called before its transaction. */
export type Trouble = (event: { account: string; cents: number }) => void | Promise<void>

export function createShop(trouble: Trouble = () => {}, unsummable = 'unsummable'): System {
  const bookService = service(book, {
    store: sqlStore<BookTables>({
      migrations: {
        '0001-notes':
          'CREATE TABLE notes (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, cents INTEGER NOT NULL)',
      },
    }),
    handlers: {
      note: ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          await db.insertInto('notes').values(input).execute()
          emit(noted, input)
          if (input.account === 'refused') throw new Error('the book is closed to this account')
          const { count } = await db
            .selectFrom('notes')
            .select((select) => select.fn.countAll<number>().as('count'))
            .where('account', '=', input.account)
            .executeTakeFirstOrThrow()
          return { account: input.account, count }
        }),
      close: async ({ input, tx }) => {
        await tx(({ emit }) => emit(closed, input))
      },
    },
  })
  return system('shop', { services: [bookService, createAuditor(trouble, unsummable)] })
}

/** Sums per account, but for one account that it cannot handle. */
const createSums = (unsummable: string) =>
  projection('sums', {
    store: sqlStore<SumTables>({
      migrations: { '0001-sums': 'CREATE TABLE sums (account TEXT PRIMARY KEY, cents INTEGER NOT NULL)' },
    }),
    subscribe: ({ project }) => [
      project(noted, ({ data }, { db }) => {
        if (data.account === unsummable) throw new Error('this account cannot be summed')
        return db
          .insertInto('sums')
          .values(data)
          .onConflict((row) =>
            row.column('account').doUpdateSet((set) => ({ cents: set('sums.cents', '+', data.cents) })),
          )
          .execute()
      }),
    ],
  })

function createAuditor(trouble: Trouble, unsummable: string) {
  return service(audit, {
    store: sqlStore<AuditTables>({
      migrations: {
        '0001-copies':
          'CREATE TABLE copies (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, cents INTEGER NOT NULL)',
      },
    }),
    projections: [createSums(unsummable)],
    subscribe: ({ on }) => [
      on(noted, async ({ event, tx }) => {
        await trouble(event.data)
        await tx(({ db }) => db.insertInto('copies').values(event.data).execute())
      }),
    ],
    handlers: {
      async total({ input, db }) {
        const rows = await db
          .selectFrom('copies')
          .select('cents')
          .where('account', '=', input.account)
          .orderBy('seq')
          .execute()
        return { cents: rows.map((row) => row.cents) }
      },
      async sums({ input, db }) {
        const row = await db.selectFrom('sums').select('cents').where('account', '=', input.account).executeTakeFirst()
        return { cents: row?.cents ?? 0 }
      },
    },
  })
}

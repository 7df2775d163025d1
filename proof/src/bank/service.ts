import { sqlStore } from '@atoll/store'
import { event, service, type EventDefinition, type TransactionContext } from 'atoll'
import { z } from 'zod'
import { bankNames, type BankName, type Banks } from './contracts.ts'

/**
 * Everything that a bank keeps. `transfers` are those it sent, `receipts` those that came, credited or not. `in_time`:
 * the timer was still there when the transfer ended, so it must never ring.
 */
export interface BankTables {
  /** `moves`: how often it has changed. */
  accounts: { account: string; cents: number; moves: number }
  transfers: {
    transfer_id: string
    account: string
    cents: number
    status: 'open' | 'done' | 'returned'
    reminders: number
    answers: number
    timer: string
    in_time?: number | null
  }
  receipts: { transfer_id: string; cents: number; credited: number; times: number }
}

/**
 * Sends as a saga: takes the money, waits for the other bank's word, and puts it back if that bank will not have it.
 */
export function createBank(banks: Banks, name: BankName) {
  const own = banks[name]
  const others = bankNames.filter((other) => other !== name).map((other) => banks[other])
  const stillOpen = event(`${name}.still-open`, {
    version: 1,
    key: ({ transferId }) => transferId,
    data: z.object({ transferId: z.string() }),
  })
  return service(own.operations, {
    store: sqlStore<BankTables>({
      migrations: {
        '0001-accounts': `
          CREATE TABLE accounts (account TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0), moves INTEGER NOT NULL) STRICT;
          CREATE TABLE transfers (transfer_id TEXT PRIMARY KEY, account TEXT NOT NULL, cents INTEGER NOT NULL, status TEXT NOT NULL,
            reminders INTEGER NOT NULL, answers INTEGER NOT NULL, timer TEXT NOT NULL) STRICT;
          CREATE TABLE receipts (transfer_id TEXT PRIMARY KEY, cents INTEGER NOT NULL, credited INTEGER NOT NULL, times INTEGER NOT NULL) STRICT;
        `,
        '0002-in-time': 'ALTER TABLE transfers ADD COLUMN in_time INTEGER',
      },
    }),
    events: [stillOpen],
    handlers: {
      open: async ({ input, tx }) => {
        await tx(({ db }) =>
          db
            .insertInto('accounts')
            .values({ ...input, moves: 0 })
            .onConflict((row) => row.doNothing())
            .execute(),
        )
      },
      send: ({ input: { transferId, from, bank, account, cents }, tx }) =>
        tx(async ({ db, emit, schedule }) => {
          const earlier = await db
            .selectFrom('transfers')
            .select('status')
            .where('transfer_id', '=', transferId)
            .executeTakeFirst()
          if (earlier) return { status: 'sent' as const } // asked for again, because the answer was lost
          const known = await db.selectFrom('accounts').select('cents').where('account', '=', from).executeTakeFirst()
          if (!known || known.cents < cents) return { status: 'no money' as const }
          await move({ db, emit }, own, from, -cents)
          const timer = schedule(stillOpen, { transferId }, { afterMs: REMINDER_MS })
          await db
            .insertInto('transfers')
            .values({ transfer_id: transferId, account: from, cents, status: 'open', reminders: 0, answers: 0, timer })
            .execute()
          emit(own.sent, { transferId, bank, account, cents })
          return { status: 'sent' as const }
        }),
      async balance({ input: { account }, db }) {
        const row = await db.selectFrom('accounts').select('cents').where('account', '=', account).executeTakeFirst()
        return { cents: row?.cents ?? 0 }
      },
    },
    subscribe: ({ on }) => [
      ...others.map((other) =>
        on(other.sent, async ({ event: { data }, tx }) => {
          if (data.bank !== name) return
          await tx(async ({ db, emit }) => {
            const credited = (await move({ db, emit }, own, data.account, data.cents)) ? 1 : 0
            await db
              .insertInto('receipts')
              .values({ transfer_id: data.transferId, cents: data.cents, credited, times: 1 })
              .onConflict((row) =>
                row.column('transfer_id').doUpdateSet((set) => ({ times: set('receipts.times', '+', 1) })),
              )
              .execute()
            emit(credited ? own.received : own.refused, { transferId: data.transferId })
          })
        }),
      ),
      ...others.flatMap((other) => [
        on(other.received, ({ event: { data }, tx }) => tx((work) => end(work, own, data.transferId, 'done'))),
        on(other.refused, ({ event: { data }, tx }) => tx((work) => end(work, own, data.transferId, 'returned'))),
      ]),
      on(stillOpen, ({ event: { data }, tx }) =>
        tx(({ db }) =>
          db
            .updateTable('transfers')
            .set((set) => ({ reminders: set('reminders', '+', 1) }))
            .where('transfer_id', '=', data.transferId)
            .execute(),
        ),
      ),
    ],
  })
}

async function end(
  { db, emit, cancel }: Work,
  own: Banks[BankName],
  transferId: string,
  status: 'done' | 'returned',
): Promise<void> {
  const transfer = await db.selectFrom('transfers').selectAll().where('transfer_id', '=', transferId).executeTakeFirst()
  if (!transfer) return // another bank's
  const inTime = await cancel(transfer.timer)
  await db
    .updateTable('transfers')
    .set((set) => ({ status, answers: set('answers', '+', 1), in_time: inTime ? 1 : 0 }))
    .where('transfer_id', '=', transferId)
    .execute()
  if (status === 'returned') await move({ db, emit }, own, transfer.account, transfer.cents)
}

/** Changes an account and says so. False if there is none. */
async function move(
  { db, emit }: Pick<Work, 'db' | 'emit'>,
  own: Banks[BankName],
  account: string,
  cents: number,
): Promise<boolean> {
  const row = await db
    .updateTable('accounts')
    .set((set) => ({ cents: set('cents', '+', cents), moves: set('moves', '+', 1) }))
    .where('account', '=', account)
    .returning('moves')
    .executeTakeFirst()
  if (row) emit(own.moved, { account, move: row.moves, cents })
  return row !== undefined
}

type Work = TransactionContext<BankTables, EventDefinition>

/** After this long a transfer that is still open is noted as such, once. */
const REMINDER_MS = 2_000

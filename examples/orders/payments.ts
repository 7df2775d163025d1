import { sqlStore } from '@atoll/store'
import { conflict, notFound, service } from 'atoll'
import { orderCancelled, orderPlaced, payments, paymentReturned, paymentTaken } from './contracts.ts'

interface Tables {
  bills: { order_id: string; cents: number; status: 'open' | 'paid' | 'returned' | 'void' }
}

/** Who has paid for what. A bill that was paid when its order is cancelled is paid back. */
export default service(payments, {
  store: sqlStore<Tables>({
    migrations: {
      '0001-bills':
        'CREATE TABLE bills (order_id TEXT PRIMARY KEY, cents INTEGER NOT NULL, status TEXT NOT NULL) STRICT',
    },
  }),
  handlers: {
    pay: async ({ input: { orderId }, tx }) => {
      await tx(async ({ db, emit }) => {
        const bill = await db.selectFrom('bills').selectAll().where('order_id', '=', orderId).executeTakeFirst()
        if (!bill) throw notFound('bill')
        if (bill.status !== 'open') throw conflict({ bill: [`is ${bill.status}`] })
        await db.updateTable('bills').set({ status: 'paid' }).where('order_id', '=', orderId).execute()
        emit(paymentTaken, { orderId })
      })
    },
    async balance({ db }) {
      const paid = await db
        .selectFrom('bills')
        .select((select) => select.fn.sum<number | null>('cents').as('cents'))
        .where('status', '=', 'paid')
        .executeTakeFirst()
      return { cents: paid?.cents ?? 0 }
    },
  },
  subscribe: ({ on }) => [
    on(
      orderPlaced,
      ({
        event: {
          data: { orderId, cents },
        },
        tx,
      }) => tx(({ db }) => db.insertInto('bills').values({ order_id: orderId, cents, status: 'open' }).execute()),
    ),
    on(
      orderCancelled,
      ({
        event: {
          data: { orderId },
        },
        tx,
      }) =>
        tx(async ({ db, emit }) => {
          const bill = await db.selectFrom('bills').selectAll().where('order_id', '=', orderId).executeTakeFirst()
          await db
            .updateTable('bills')
            .set({ status: bill?.status === 'paid' ? 'returned' : 'void' })
            .where('order_id', '=', orderId)
            .execute()
          if (bill?.status === 'paid') emit(paymentReturned, { orderId })
        }),
    ),
  ],
})

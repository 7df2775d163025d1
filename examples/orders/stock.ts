import { sqlStore } from '@atoll/store'
import { service } from 'atoll'
import { orderCancelled, orderPlaced, stock, stockRefused, stockReserved } from './contracts.ts'

interface Tables {
  goods: { sku: string; count: number }
  reservations: { order_id: string; sku: string }
}

/** What lies on the shelves. Goods are taken from them for an order, and put back if it is cancelled. */
export default service(stock, {
  store: sqlStore<Tables>({
    migrations: {
      '0001-goods': `
        CREATE TABLE goods (sku TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT;
        CREATE TABLE reservations (order_id TEXT PRIMARY KEY, sku TEXT NOT NULL) STRICT;
      `,
    },
  }),
  handlers: {
    deliver: async ({ input: { sku, count }, tx }) => {
      await tx(({ db }) =>
        db
          .insertInto('goods')
          .values({ sku, count })
          .onConflict((row) => row.column('sku').doUpdateSet((set) => ({ count: set('goods.count', '+', count) })))
          .execute(),
      )
    },
    async left({ input: { sku }, db }) {
      const row = await db.selectFrom('goods').select('count').where('sku', '=', sku).executeTakeFirst()
      return { count: row?.count ?? 0 }
    },
  },
  subscribe: ({ on }) => [
    on(
      orderPlaced,
      ({
        event: {
          data: { orderId, sku },
        },
        tx,
      }) =>
        tx(async ({ db, emit }) => {
          const taken = await db
            .updateTable('goods')
            .set((set) => ({ count: set('count', '-', 1) }))
            .where('sku', '=', sku)
            .where('count', '>', 0)
            .executeTakeFirst()
          if (taken.numUpdatedRows === 0n) return emit(stockRefused, { orderId })
          await db.insertInto('reservations').values({ order_id: orderId, sku }).execute()
          emit(stockReserved, { orderId })
        }),
    ),
    on(
      orderCancelled,
      ({
        event: {
          data: { orderId },
        },
        tx,
      }) =>
        tx(async ({ db }) => {
          const held = await db
            .deleteFrom('reservations')
            .where('order_id', '=', orderId)
            .returning('sku')
            .executeTakeFirst()
          if (held)
            await db
              .updateTable('goods')
              .set((set) => ({ count: set('count', '+', 1) }))
              .where('sku', '=', held.sku)
              .execute()
        }),
    ),
  ],
})

import { command, contract, event, query } from 'atoll'
import { z } from 'zod'

// What three services may know of each other. An order is held for fifteen minutes: stock keeps its goods back, and
// somebody has to pay.

const OrderId = z.object({ orderId: z.string() })
const byOrder = ({ orderId }: { orderId: string }): string => orderId

export const orderPlaced = event('order.placed', {
  version: 1,
  key: byOrder,
  data: OrderId.extend({ sku: z.string(), cents: z.int().positive() }),
})
export const orderConfirmed = event('order.confirmed', { version: 1, key: byOrder, data: OrderId })
export const orderCancelled = event('order.cancelled', {
  version: 1,
  key: byOrder,
  data: OrderId.extend({ reason: z.enum(['out of stock', 'not paid in time']) }),
})

export const orders = contract('orders', {
  events: [orderPlaced, orderConfirmed, orderCancelled],
  place: command({
    http: 'POST /orders',
    auth: 'none',
    input: z.object({ sku: z.string(), cents: z.int().positive() }),
    output: OrderId,
  }),
  get: query({
    http: 'GET /orders/:orderId',
    auth: 'none',
    input: OrderId,
    output: OrderId.extend({ status: z.enum(['waiting', 'confirmed', 'cancelled']) }),
  }),
})

export const stockReserved = event('stock.reserved', { version: 1, key: byOrder, data: OrderId })
export const stockRefused = event('stock.refused', { version: 1, key: byOrder, data: OrderId })

export const stock = contract('stock', {
  events: [stockReserved, stockRefused],
  deliver: command({
    http: 'POST /stock/:sku',
    auth: 'none',
    input: z.object({ sku: z.string(), count: z.int().positive() }),
    output: z.void(),
  }),
  left: query({
    http: 'GET /stock/:sku',
    auth: 'none',
    input: z.object({ sku: z.string() }),
    output: z.object({ count: z.int() }),
  }),
})

export const paymentTaken = event('payment.taken', { version: 1, key: byOrder, data: OrderId })
export const paymentReturned = event('payment.returned', { version: 1, key: byOrder, data: OrderId })

export const payments = contract('payments', {
  events: [paymentTaken, paymentReturned],
  pay: command({ http: 'POST /payments', auth: 'none', input: OrderId, output: z.void() }),
  balance: query({ http: 'GET /payments', auth: 'none', input: z.object({}), output: z.object({ cents: z.int() }) }),
})

/** An order of the workloads: what every program under measurement takes, hands on and ships. */
export interface Order {
  readonly orderId: string
  readonly buyerId: string
  readonly sku: string
  readonly cents: number
}

export function createOrder(index: number): Order {
  const id = index.toString(16).padStart(12, '0')
  return {
    orderId: `0193e0a0-0000-7000-8000-${id}`,
    buyerId: `0193e0a0-0000-7000-9000-${id}`,
    sku: `sku-${index % 100}`,
    cents: 100 + (index % 900),
  }
}

/** The index an order was made of. */
export function indexOf(orderId: string): number {
  return Number.parseInt(orderId.slice(-12), 16)
}

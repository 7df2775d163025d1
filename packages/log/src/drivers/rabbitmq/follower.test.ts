import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { createRecord } from '../../conformance/records.ts'
import type { Delivery, StreamChannel } from './consumer.ts'
import { Follower } from './follower.ts'
import { toBody, toRow } from './format.ts'
import { KnownNumbers } from './known.ts'
import { defaultLimits } from './limits.ts'

const stream = 'atoll/shop/orders/0'

/** A follower of a stream of which a test sends what it wants, a message for each number. */
async function createFollower(sent: number): Promise<{
  follower: Follower
  known: KnownNumbers
  send(number: number): void
  mark(place: number): void
  acknowledged: readonly object[]
}> {
  const known = new KnownNumbers()
  let take: (delivery: Delivery) => void = () => {}
  const acknowledged: object[] = []
  const channel = {
    stream,
    lost: undefined as unknown,
    look: async () => true,
    consume: async (_from: unknown, taking: typeof take) => void (take = taking),
    ack: (message: object) => void acknowledged.push(message),
    arrival: async (reached: () => boolean) => reached(), // nothing comes while anybody waits for it
    lose: (why: unknown) => (channel.lost ??= why),
    close() {},
  }
  const limits = { ...defaultLimits, callMs: 50 }
  const parts = {
    channel: channel as unknown as StreamChannel, // all of it that a follower uses
    source: 'orders',
    partition: 0,
    known,
    host: createNodeHost(),
    limits,
  }
  const follower = await Follower.attach(parts, null, sent - 1)
  const send = (number: number): void =>
    take({
      place: number - 1,
      message: { content: toBody([toRow(createRecord('orders', 0, number))]) } as Delivery['message'],
    })
  for (let number = 1; number <= sent; number++) send(number)
  const mark = (place: number): void => take({ place, message: { content: toBody([]) } as Delivery['message'] })
  return { follower, known, send, mark, acknowledged }
}

describe('a follower', () => {
  it('is given up when RabbitMQ does not send what others have written, though it answers', async () => {
    const { follower, known } = await createFollower(2)
    const { offset } = (await follower.read(null, 10))!.at(-1)!
    const after = { message: 1, index: 0, number: 2 }
    assert.equal(offset, '1.0.2')
    // nobody has told of anything
    for (let reads = 0; reads < 3; reads++) assert.deepEqual(await follower.read(after, 10), [])
    known.raise(stream, 3, false)
    assert.deepEqual(await follower.read(after, 10), []) // it is on its way
    await until('it is given up', () =>
      follower.read(after, 10).then(
        () => false,
        () => follower.isLost,
      ),
    )
  })

  it('is kept while RabbitMQ sends, though it is always behind what others tell', async () => {
    const { follower, known, send } = await createFollower(1)
    for (let number = 1, until = performance.now() + 200; performance.now() < until; number++) {
      known.raise(stream, number + 1, false)
      assert.deepEqual(await follower.read({ message: number - 1, index: 0, number }, 10), [])
      send(number + 1)
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal((await follower.read({ message: number - 1, index: 0, number }, 1))?.[0]?.number, number + 1)
    }
    assert.equal(follower.isLost, false)
  })

  it('passes over marks, and lets RabbitMQ send more behind them', async () => {
    const { follower, send, mark, acknowledged } = await createFollower(1)
    mark(1)
    mark(2)
    assert.deepEqual(acknowledged, []) // what came before them has not been read yet
    assert.equal((await follower.read(null, 10))?.length, 1)
    assert.equal(acknowledged.length, 2) // the record, and with the last mark the one before it
    mark(3)
    assert.equal(acknowledged.length, 3)
    assert.deepEqual(await follower.read({ message: 0, index: 0, number: 1 }, 10), [])
    send(5)
    assert.equal((await follower.read({ message: 0, index: 0, number: 1 }, 10))?.[0]?.number, 5)
  })

  it('makes room behind what a reader stands at, also where that comes only after it was asked for more', async () => {
    const { follower, send, acknowledged } = await createFollower(0)
    assert.deepEqual(await follower.read({ message: 0, index: 0, number: 1 }, 10), [])
    send(1)
    assert.equal(acknowledged.length, 1)
  })
})

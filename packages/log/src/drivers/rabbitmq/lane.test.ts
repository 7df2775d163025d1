import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { silentLogger, type AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { assertRefused, numbersTo } from '../../conformance/records.ts'
import { Connection } from '../shared/connection.ts'
import type { Writer } from './client.ts'
import { toAtollError } from './errors.ts'
import { Lane } from './lane.ts'
import { defaultLimits } from './limits.ts'

/** A message that was sent, and by which it is confirmed or refused. */
interface Sent {
  readonly stream: string
  /** Which connection it went out on, from 1. */
  readonly connection: number
  readonly numbers: readonly number[]
  answer(error: Error | null): void
}

/** Lanes whose messages come here, and are answered as a test wants. */
async function createLanes(callMs = defaultLimits.callMs): Promise<{
  lane: Lane
  other: Lane
  sent: Sent[]
  connections: () => number
  block: (reason: string | undefined) => void
}> {
  const host = createNodeHost()
  const limits = { ...defaultLimits, messageRecordsMax: 3, callMs }
  const sent: Sent[] = []
  let connections = 0
  let writer: Writer | undefined
  const channel = {
    publish(_exchange: string, stream: string, body: Buffer, _options: object, answer: (error: Error | null) => void) {
      sent.push({ stream, connection: connections, numbers: JSON.parse(body.toString()) as number[], answer })
      return true
    },
  }
  const open = async (giveUp: (why: unknown) => void): Promise<Writer> => {
    connections++
    return (writer = {
      channel,
      blocked: undefined,
      onBlocked: new Set(),
      returned: new Set(),
      giveUp,
    } as unknown as Writer) // the rest of it a lane does not touch while there is a stream
  }
  const block = (reason: string | undefined): void => {
    writer!.blocked = reason // it is open
    if (reason !== undefined) for (const tell of writer!.onBlocked) tell()
  }
  const toError = (error: unknown): AtollError => toAtollError(error, 'RabbitMQ')
  const connection = new Connection<Writer>({ engine: 'RabbitMQ', open, end() {}, toError }, host, silentLogger, limits)
  await connection.start()
  const lanes = ['atoll/shop/orders/0', 'atoll/shop/orders/1'].map(
    (stream) => new Lane(stream, connection, host, limits),
  ) as [Lane, Lane]
  return { lane: lanes[0], other: lanes[1], sent, connections: () => connections, block }
}

function write(lane: Lane, first: number, last: number): Promise<void> {
  const numbers = numbersTo(last).slice(first - 1)
  return lane.write(numbers.map(String), numbers)
}

/** After everything that can settle by itself. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('a lane', () => {
  it('sends one message at a time, and the next when that is confirmed', async () => {
    const { lane, sent } = await createLanes()
    let durable = 0
    const writes = [write(lane, 1, 2), write(lane, 3, 7), write(lane, 8, 8)].map((written, index) =>
      written.then(() => (durable = index + 1)),
    )
    const expected = [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]
    for (const [index, numbers] of expected.entries()) {
      await turn()
      assert.deepEqual(
        sent.map((each) => each.numbers),
        expected.slice(0, index + 1),
      )
      assert.equal(durable, [0, 1, 1][index])
      assert.deepEqual(sent[index]?.numbers, numbers)
      sent[index]?.answer(null)
    }
    await Promise.all(writes)
  })

  it('rejects with a message that fails all that waits behind it, so that nothing is written after a record that was not', async () => {
    const { lane, sent } = await createLanes()
    const first = write(lane, 1, 2)
    const failing = [write(lane, 3, 7), write(lane, 8, 8)].map((each) => assertRefused('UNAVAILABLE', each))
    await turn()
    sent[0]!.answer(null)
    await first
    await turn()
    sent[1]!.answer(new Error('message nacked'))
    await Promise.all(failing)
    await turn()
    assert.equal(sent.length, 2)
    const again = write(lane, 3, 5)
    await turn()
    assert.deepEqual(sent[2]?.numbers, [3, 4, 5])
    sent[2]?.answer(null)
    await again
  })
  it('has the connection replaced when its message is not confirmed, though RabbitMQ confirms those of others', async () => {
    const { lane, other, sent, connections } = await createLanes(200)
    const stuck = assertRefused('UNAVAILABLE', write(lane, 1, 1))
    let isStuck = true
    void stuck.finally(() => (isStuck = false))
    for (let number = 1; isStuck; number++) {
      // the last one may be lost with the connection
      const written = write(other, number, number).catch(() => undefined)
      await turn()
      sent.at(-1)?.answer(null)
      await written
    }
    await stuck
    await until('another connection', () => connections() === 2)
    const again = write(lane, 1, 1)
    await turn()
    const last = sent.at(-1)!
    assert.deepEqual([last.stream, last.connection], ['atoll/shop/orders/0', 2])
    last.answer(null)
    await again
  })
  it('says at once that RabbitMQ takes no messages, on the connection that was told so, and goes on when it does again', async () => {
    const { lane, sent, connections, block } = await createLanes()
    const refused = assertRefused('STORE_FULL', write(lane, 1, 1))
    await turn()
    block('low on disk')
    assert.match((await refused).message, /low on disk/)
    await assertRefused('STORE_FULL', write(lane, 1, 1))
    assert.equal(sent.length, 1)
    block(undefined)
    const again = write(lane, 1, 1)
    await turn()
    sent[0]?.answer(null) // of the first, late
    sent[1]?.answer(null)
    await again
    assert.equal(connections(), 1)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { assertRefused, createRecord } from '../../conformance/records.ts'
import { Connection } from '../shared/connection.ts'
import type { Reading } from './client.ts'
import { toAtollError } from './errors.ts'
import { toBody, toRow } from './format.ts'
import { KnownNumbers } from './known.ts'
import { defaultLimits } from './limits.ts'
import { Reader } from './reader.ts'

/** What a RabbitMQ has that a test makes up. */
interface Stream {
  /** Each has one record, or is a mark. */
  messages: number
  /** Ids of marks, by their place. */
  readonly marks: Map<number, string>
  /** Sends what is new to those who read. */
  send(): void
  /** How often it was asked whether it is there. */
  looks: number
  /** How often something of it was read. */
  consumers: number
}

/** What RabbitMQ has sent to nobody yet, it does not send to its first `deaf` consumers. */
async function createReader(
  making: () => Promise<void> | undefined,
  messages: number,
  deaf = 0,
  writeMark: () => Promise<string | undefined> = async () => undefined,
): Promise<{ reader: Reader; stream: Stream; known: KnownNumbers }> {
  const host = createNodeHost()
  const limits = { ...defaultLimits, callMs: 1_000 }
  const sending: (() => void)[] = []
  const stream: Stream = {
    messages,
    marks: new Map(),
    looks: 0,
    consumers: 0,
    send: () => sending.forEach((send) => send()),
  }
  const createChannel = async (): Promise<unknown> => ({
    on() {},
    ack() {},
    async prefetch() {},
    async close() {},
    async checkQueue() {
      stream.looks++
      return { messageCount: stream.messages }
    },
    async consume(
      _stream: string,
      take: (message: unknown) => void,
      { arguments: { 'x-stream-offset': from } }: { arguments: { 'x-stream-offset': 'first' | 'last' | number } },
    ) {
      if (++stream.consumers <= deaf) return
      let place = from === 'first' ? 0 : from === 'last' ? stream.messages - 1 : from
      const send = (): void => {
        for (; place < stream.messages; place++) {
          const messageId = stream.marks.get(place)
          take({
            properties: { headers: { 'x-stream-offset': place }, messageId },
            content: toBody(messageId === undefined ? [toRow(createRecord('orders', 0, place + 1))] : []),
          })
        }
      }
      sending.push(send)
      send()
    },
  })
  // all of it that a reader uses
  const open = async (): Promise<Reading> => ({ model: { createChannel } }) as unknown as Reading
  const connection = new Connection<Reading>(
    { engine: 'RabbitMQ', open, end() {}, toError: (error) => toAtollError(error, 'RabbitMQ') },
    host,
    silentLogger,
    limits,
  )
  await connection.start()
  const known = new KnownNumbers()
  return { reader: new Reader({ system: 'shop', connection, known, making, writeMark, host, limits }), stream, known }
}

describe('a reader', () => {
  it('waits for a stream that its log is just making: RabbitMQ shows it before it can be read', async () => {
    const made = Promise.withResolvers<void>()
    const { reader, stream } = await createReader(() => made.promise, 1)
    const reading = reader.read('orders', 0, null, 10)
    await until('it has found the stream', () => stream.looks > 0)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(stream.consumers, 0)
    made.resolve()
    assert.deepEqual(
      (await reading).map(({ number }) => number),
      [1],
    )
    reader.close()
  })

  it('begins again where RabbitMQ does not send it a message that came as it began', async () => {
    const { reader, stream } = await createReader(() => undefined, 1, 1)
    assert.deepEqual(
      (await reader.read('orders', 0, null, 10)).map(({ number }) => number),
      [1],
    )
    assert.equal(stream.consumers, 3) // for the end twice, and to read
    reader.close()
  })

  it('waits for a replica that lags behind the place it reads on from, and takes nothing for lost', async () => {
    const { reader, stream } = await createReader(() => undefined, 3)
    const reading = reader.read('orders', 0, '4.0.5', 10)
    await until('it has seen an end before that place', () => stream.consumers > 1)
    stream.messages = 6
    assert.deepEqual(
      (await reading).map(({ number }) => number),
      [6],
    )
    reader.close()
  })

  it('takes for lost what does not lie before a message that was written after it, and nothing else', async () => {
    let showsMarks = false
    const { reader, stream } = await createReader(
      () => undefined,
      3,
      0,
      async () => {
        if (showsMarks) stream.marks.set(stream.messages++, 'mark')
        return 'mark'
      },
    )
    await assertRefused('UNAVAILABLE', reader.read('orders', 0, '9.0.10', 10)) // the replica may be far behind
    showsMarks = true
    await assertRefused('LOG_GAP', reader.read('orders', 0, '9.0.10', 10))
    reader.close()
  })

  it('does not tell less than it was told, unless a message that was written after that shows it', async () => {
    let marks = 0
    const { reader, stream, known } = await createReader(
      () => undefined,
      3,
      0,
      async () => {
        const mark = `mark ${++marks}`
        if (marks !== 2) stream.marks.set(stream.messages++, mark)
        return mark
      },
    )
    assert.equal((await reader.tail('orders', 0))?.number, 3)
    known.raise('atoll/shop/orders/0', 9, false)
    await assertRefused('UNAVAILABLE', reader.tail('orders', 0))
    assert.equal((await reader.tail('orders', 0))?.number, 3) // who told of more, told of a stream that has gone
    reader.close()
  })

  it('does not take the end of a replica that lags for the end of the stream, though its log has written nothing', async () => {
    const { reader, stream } = await createReader(
      () => undefined,
      3,
      0,
      async () => 'mark',
    )
    const tail = reader.tail('orders', 0)
    await until('it has seen the end of the replica', () => stream.consumers > 1)
    stream.marks.set(5, 'mark')
    stream.messages = 7
    stream.send()
    assert.equal((await tail)?.number, 7)
    assert.equal((await reader.tail('orders', 0))?.number, 7) // for which nothing is written
    reader.close()
  })

  it('refuses to tell the end while a replica does not catch up', async () => {
    const { reader } = await createReader(
      () => undefined,
      3,
      0,
      async () => 'mark',
    )
    const error = await assertRefused('UNAVAILABLE', reader.tail('orders', 0))
    assert.match(error.message, /callMs/)
    reader.close()
  })

  it('finds the end behind more marks than it looks at first', async () => {
    const { reader, stream } = await createReader(() => undefined, 500)
    for (let place = 200; place < 500; place++) stream.marks.set(place, `${place}`)
    assert.deepEqual(await reader.tail('orders', 0), { number: 200, offset: '199.0.200', id: 'orders/0/200' })
    reader.close()
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { inNetwork, type Playing } from '../test/network.ts'
import { Listener } from './listener.ts'
import { defaultServerLimits } from './server/limits.ts'

// What anybody who reaches its port can hold on to. How each limit works is shown where the connections are; here, that
// they hold between processes, too.

async function open({ instance }: Playing, more: { allowHalfOpen?: boolean } = {}): Promise<Socket> {
  const socket = connect({ port: Number(new URL(instance.url).port), host: '127.0.0.1', ...more }).setEncoding('latin1')
  socket.on('error', () => {}) // it may be reset
  await once(socket, 'connect')
  return socket
}

/** All that comes until the connection is closed. */
async function read(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (part: string) => (text += part))
  await untilClosed(socket)
  return text
}

/**
 * Resolves when the other side has closed a connection of which nothing is read, or whose other half stays open: who
 * sends hears of it.
 */
async function untilClosedUnread(socket: Socket): Promise<void> {
  const nudge = (): void => void (socket.destroyed || socket.write('\r\n', () => setImmediate(nudge)))
  nudge()
  await untilClosed(socket)
}

/** Also by an error, such as a reset. */
async function untilClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

const head = (length: number, more = ''): string =>
  `POST /call/shelf.put HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`
const call = JSON.stringify({ system: 'library', remainingMs: 60_000, input: {} })
const whole = head(call.length) + call

describe('the listener between processes', () => {
  it('closes the connection of who is too slow with headers or body, also if that never closes its half', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { requestTimeoutMs: 100, lingerMs: 1 } })
      for (const begun of ['', 'POST /call/shelf.put HTTP/1.1\r\nhost: x\r\n', `${head(9)}{`]) {
        const socket = await open(server, { allowHalfOpen: true })
        socket.write(begun)
        let text = ''
        socket.on('data', (part: string) => (text += part))
        await once(socket, 'end')
        assert.match(text, /^HTTP\/1\.1 408 /m, begun)
        await untilClosedUnread(socket)
      }
    }))

  it('keeps no place for calls that do not come, however many have begun to', () =>
    inNetwork(async ({ play, client }) => {
      const server = await play(() => ({ output: { text: 'done' } }), { limits: { callsInFlightMax: 1 } })
      for (let nth = 0; nth < 3; nth++) {
        const socket = await open(server)
        socket.write(head(9, 'expect: 100-continue\r\n'))
        assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 100 /) // it waits for the body
      }
      assert.deepEqual((await client([server.instance]).dispatch('shelf.put', { input: {} })).output, { text: 'done' })
    }))

  it('has no more connections than its limit: for one more, it closes the one that has said nothing for longest', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { connectionsMax: 2 } })
      const [first] = [await open(server), await open(server), await open(server)]
      assert.equal(await read(first), '')
    }))

  it('answers as many requests of one packet as may wait, and then refuses and ends', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { pipelinedMax: 2 } })
      const socket = await open(server)
      socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(10))
      assert.deepEqual((await read(socket)).match(/HTTP\/1\.1 \d+/g), [
        'HTTP/1.1 200',
        'HTTP/1.1 200',
        'HTTP/1.1 200',
        'HTTP/1.1 503',
      ])
    }))

  it('closes the connection of who reads nothing of an answer', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({ output: { text: 'x'.repeat(15 * 2 ** 20) } }), {
        limits: { answerTimeoutMs: 100 },
      })
      const socket = (await open(server)).pause()
      socket.write(whole)
      await untilClosedUnread(socket)
    }))

  it('closes a connection that was answered, and on which nothing comes any more', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { keepAliveTimeoutMs: 100 } })
      const socket = await open(server)
      socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
      assert.match(await read(socket), /^HTTP\/1\.1 200 /)
    }))

  it('holds no more of bodies that are not whole than its limit', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { arrivingBytesMax: 100 } })
      const [long, short] = [await open(server), await open(server)]
      const refused = read(long)
      long.write(head(1_000, 'expect: 100-continue\r\n'))
      await once(long, 'data') // it waits for the body, and for longest
      long.write(' '.repeat(90))
      short.write(head(call.length + 20) + ' '.repeat(20))
      assert.match(await refused, /^HTTP\/1\.1 503 /m)
      short.write(call)
      assert.match(String(await once(short, 'data')), /^HTTP\/1\.1 200 /)
    }))

  it('makes no more of an answer of many lines than its client takes', async () => {
    const [count, line] = [64, 'x'.repeat(2 ** 20)] // more than what systems keep for a connection
    let written = 0
    const listener = new Listener(
      defaultServerLimits,
      undefined,
      silentLogger,
      async (exchange) => {
        const stream = exchange.stream()
        for (; written < count; written++) await stream.write(line)
        stream.end()
      },
      ({ message }) => message,
    )
    const { port } = await listener.listen(0, '127.0.0.1')
    try {
      const response = await new Promise<IncomingMessage>(
        (resolve) => void get({ port, host: '127.0.0.1', path: '/livez' }, resolve),
      )
      assert.ok(written < count, `${written} lines were made before the client had read one`)
      let bytes = 0
      for await (const part of response as AsyncIterable<Buffer>) bytes += part.length
      assert.deepEqual([written, bytes], [count, count * (line.length + 1)])
    } finally {
      await listener.close(0)
    }
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { startProxy, type Proxy } from './proxy.ts'
import { until } from './waiting.ts'

/** A server on loopback and what its connections brought. */
class Target {
  readonly sockets: Socket[] = []
  readonly server: Server

  constructor(onConnection: (socket: Socket) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      this.sockets.push(socket)
      onConnection(socket)
    })
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port // it listens on TCP
  }
}

/** A client that keeps what it received, and how it ended. */
class Client {
  text = ''
  isEnded = false
  error: string | undefined
  readonly socket: Socket

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket
      .on('data', (chunk) => (this.text += chunk))
      .on('end', () => (this.isEnded = true))
      .on('error', (error: NodeJS.ErrnoException) => (this.error = error.code))
  }

  async receives(text: string): Promise<void> {
    await until(`it has received ${text}`, () => this.text === text)
  }
}

const echo = (socket: Socket): unknown => socket.pipe(socket)

async function world(
  context: TestContext,
  onConnection: (socket: Socket) => unknown,
): Promise<{ target: Target; proxy: Proxy; client: () => Client }> {
  const target = new Target(onConnection)
  target.server.listen(0, '127.0.0.1')
  await once(target.server, 'listening')
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: target.port } })
  const clients: Client[] = []
  context.after(async () => {
    await proxy.close()
    for (const socket of [...target.sockets, ...clients.map(({ socket }) => socket)]) socket.destroy()
    target.server.close()
  })
  const client = (): Client => {
    clients.push(new Client(proxy.port))
    return clients.at(-1)!
  }
  return { target, proxy, client }
}

/**
 * Long enough for anything on its way through loopback to arrive: some things that were sent later have made their
 * round.
 */
async function othersMadeTheirRound(target: Target): Promise<void> {
  const other = new Client(target.port)
  for (let round = 1; round <= 20; round++) {
    other.socket.write('.')
    await other.receives('.'.repeat(round))
  }
  other.socket.destroy()
}

describe('the proxy', () => {
  it('passes on what comes, in both directions, and the end of each', async (context) => {
    const { client } = await world(context, echo)
    const one = client()
    one.socket.end('hello')
    await one.receives('hello')
    await until('it is ended', () => one.isEnded)
    assert.equal(one.error, undefined)
  })

  it('passes on a megabyte as it is', async (context) => {
    const { client } = await world(context, echo)
    const one = client()
    const text = Array.from({ length: 100_000 }, (_, index) => `${index}`.padStart(10)).join('')
    one.socket.end(text)
    await one.receives(text)
  })

  it('delays what comes in each direction, in order', async (context) => {
    const { proxy, client } = await world(context, echo)
    await proxy.delay(50)
    const one = client()
    const sentMs = performance.now()
    one.socket.write('a')
    one.socket.write('b')
    await one.receives('ab')
    assert.ok(performance.now() - sentMs >= 99, 'each direction took its 50 ms (timers are exact to the millisecond)')
    one.socket.end('c')
    await one.receives('abc')
    await until('it is ended', () => one.isEnded)
  })

  it('gives out what it held up when it passes again', async (context) => {
    const { target, proxy, client } = await world(context, echo)
    const one = client()
    one.socket.write('a')
    await one.receives('a')
    await proxy.delay(3_600_000)
    one.socket.write('b')
    await othersMadeTheirRound(target)
    assert.equal(one.text, 'a')
    await proxy.pass()
    one.socket.write('c')
    await one.receives('abc')
  })

  it('tears connections on both sides and refuses new ones, until it passes again', async (context) => {
    const { target, proxy, client } = await world(context, echo)
    const one = client()
    one.socket.write('a')
    await one.receives('a')
    const torn = once(target.sockets[0]!, 'error')
    await proxy.reset()
    await until('it is torn', () => one.error === 'ECONNRESET')
    assert.equal(((await torn)[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
    const two = client()
    await until('it is refused', () => two.error === 'ECONNREFUSED')
    await proxy.pass()
    const three = client()
    three.socket.write('b')
    await three.receives('b')
  })

  it('is silent without ending anything, takes new connections, and passes all of it on in the end', async (context) => {
    const { target, proxy, client } = await world(context, echo)
    const one = client()
    one.socket.write('a')
    await one.receives('a')
    await proxy.silence()
    one.socket.write('b')
    const two = client()
    await once(two.socket, 'connect')
    two.socket.write('c')
    target.sockets[0]!.write('d')
    await othersMadeTheirRound(target)
    assert.deepEqual([one.text, two.text, one.error, two.error], ['a', '', undefined, undefined])
    assert.ok(!one.isEnded && !one.socket.destroyed && !two.socket.destroyed)
    await proxy.pass()
    await one.receives('adb')
    await two.receives('c')
  })

  it('tells nobody in its silence that the other side has gone, and then does', async (context) => {
    const { target, proxy, client } = await world(context, echo)
    const one = client()
    one.socket.write('a')
    await one.receives('a')
    await proxy.silence()
    target.sockets[0]!.resetAndDestroy()
    await othersMadeTheirRound(target)
    assert.ok(!one.isEnded && !one.socket.destroyed && one.error === undefined)
    await proxy.pass()
    await until('it is torn', () => one.error === 'ECONNRESET')
  })

  it('loses what comes in both directions, of old connections for good, and passes new ones on when it passes', async (context) => {
    const { target, proxy, client } = await world(context, echo)
    const [old, ...others] = [client(), client()]
    old.socket.write('a')
    await old.receives('a')
    await proxy.lose('everything')
    others.push(client())
    for (const one of [old, ...others]) one.socket.write('b')
    await othersMadeTheirRound(target)
    await proxy.pass()
    const fresh = client()
    fresh.socket.write('c')
    await fresh.receives('c')
    for (const one of [old, ...others]) one.socket.write('d')
    await othersMadeTheirRound(target)
    assert.deepEqual(
      [old, ...others].map(({ text, isEnded }) => [text, isEnded]),
      [
        ['a', false],
        ['', false],
        ['', false],
      ],
    )
    assert.deepEqual([proxy.accepted >= 4, proxy.open >= 4], [true, true])
    for (const one of [old, ...others]) one.socket.destroy()
    await until('those that their clients ended are gone', () => proxy.open <= 1)
  })

  it('loses what the server says, and passes on what is said to it', async (context) => {
    const heard: string[] = []
    const { proxy, client } = await world(context, (socket) => {
      socket.on('data', (chunk) => {
        heard.push(String(chunk))
        socket.write('an answer')
      })
    })
    const old = client()
    old.socket.write('a')
    await old.receives('an answer')
    await proxy.lose('answers')
    const fresh = client()
    old.socket.write('b')
    fresh.socket.write('c')
    await until('the server heard both', () => heard.length === 3)
    await proxy.pass()
    const next = client()
    next.socket.write('d')
    await next.receives('an answer')
    assert.deepEqual([old.text, fresh.text], ['an answer', ''])
  })

  it('tears all connections once so much was sent, of which the server has that much', async (context) => {
    let heard = 0
    const { proxy, client } = await world(
      context,
      (socket) => void socket.on('data', (chunk) => (heard += chunk.length)),
    )
    const [one, two] = [client(), client()]
    for (const { socket } of [one, two]) await once(socket, 'connect')
    proxy.resetAfter(10)
    one.socket.write('1234')
    await until('the server heard it', () => heard === 4)
    two.socket.write('1234567890')
    await until('they are torn', () => one.error === 'ECONNRESET' && two.error === 'ECONNRESET')
    await until('the server heard what was before', () => heard === 10)
    const next = client()
    next.socket.write('x'.repeat(100))
    await until('the next one is passed on', () => heard === 110)
  })

  it('tears a client whose server is not there', async (context) => {
    const { target, client } = await world(context, echo)
    target.server.close()
    await once(target.server, 'close')
    const one = client()
    await until('it is torn', () => one.error === 'ECONNRESET')
  })

  it('holds little: who sends to somebody that does not read has to wait', async (context) => {
    const { target, client } = await world(context, (socket) => socket.pause())
    const one = client()
    const sent = flood(one)
    const stood = await standsStill(sent)
    assert.ok(stood > 0 && stood < 32 * 1024 * 1024, `it took ${stood} bytes`)
    const received = read(target)
    await until('all has come', () => received() === FLOOD_BYTES)
  })

  it('keeps in its silence what it held', async (context) => {
    const { target, proxy, client } = await world(context, (socket) => socket.pause())
    const one = client()
    const sent = flood(one)
    await standsStill(sent)
    await proxy.silence()
    const received = read(target)
    assert.ok((await standsStill(received)) < FLOOD_BYTES)
    await proxy.pass()
    await until('all has come', () => received() === FLOOD_BYTES)
  })
})

/** More than kernels take on either side of the proxy, which is some megabytes. */
const FLOOD_BYTES = 64 * 1024 * 1024

/** Sends as much as goes; returns how much that was so far. */
function flood({ socket }: Client): () => number {
  const chunk = Buffer.alloc(64 * 1024)
  let sent = 0
  Readable.from(
    (function* () {
      for (; sent < FLOOD_BYTES; sent += chunk.length) yield chunk
    })(),
  ).pipe(socket)
  return () => sent
}

/** Lets the target read; returns how much it has read so far. */
function read({ sockets }: Target): () => number {
  let received = 0
  sockets[0]!.on('data', (chunk: Buffer) => (received += chunk.length)).resume()
  return () => received
}

/** Resolves with a count when several looks in a row saw the same. */
async function standsStill(count: () => number): Promise<number> {
  let [last, looks] = [0, 0]
  const look = (): boolean => {
    looks = count() > 0 && count() === last ? looks + 1 : 0
    last = count()
    return looks > 10
  }
  await until('it stands still', look)
  return last
}

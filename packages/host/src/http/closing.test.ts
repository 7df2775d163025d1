import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { GET, HOUR_MS, inServer, LARGE, read, statuses, turns } from '../../test/server.ts'

describe('a server that is closed', () => {
  it('is so at once where nothing was ever asked on any connection', () =>
    inServer(
      async ({ connections, connect }) => {
        const { client } = await connect()
        const ended = once(client.resume(), 'close')
        await connections.close(HOUR_MS)
        await ended
      },
      { lingerMs: 0 },
    ))

  it('answers a request that is on its way, and says that it was the last', () =>
    inServer(async ({ connections, connect, asked }) => {
      const { client } = await connect()
      const text = read(client)
      client.write(GET)
      ;(await asked(0)).answer('first')
      await once(client, 'data')
      const closed = connections.close(HOUR_MS)
      await turns()
      client.write(GET)
      ;(await asked(1)).answer('second')
      assert.match(await text, /connection: keep-alive[^]*first[^]*connection: close[^]*second/i)
      await closed
    }))

  it('answers what is under way first, also after one that asked nothing', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        await connect()
        const { client } = await connect()
        const text = read(client)
        client.write(GET)
        const { answer } = await asked(0)
        const closed = connections.close(HOUR_MS)
        answer('the answer')
        await closed
        assert.match(await text, /the answer/)
      },
      { lingerMs: 0 },
    ))

  it('answers all that had come', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        const { client } = await connect()
        const text = read(client)
        client.write(GET + GET)
        const first = await asked(0)
        const closed = connections.close(HOUR_MS)
        first.answer('one')
        ;(await asked(1)).answer('two')
        await closed
        assert.match(await text, /one[^]*two/)
      },
      { lingerMs: 0 },
    ))

  it('waits for the rest of a request that began before the answer to the one before it was taken', () =>
    inServer(
      async ({ connections, connect }) => {
        const [half, idle] = [await connect(), await connect()]
        const text = read(half.client)
        half.client.write(GET + GET.slice(0, -4))
        await once(half.client, 'data')
        const idleClosed = once(idle.accepted, 'close')
        const closed = connections.close(HOUR_MS)
        await idleClosed // those that were answered have been looked at
        await turns()
        half.client.write(GET.slice(-4))
        assert.deepEqual(statuses(await text), ['200', '200'])
        await closed
      },
      { lingerMs: 1 },
      ({ answer }) => answer('the answer\n'),
    ))

  it('waits for the rest of such a request also where the answer to the one before it is taken after the end', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        const [half, whole] = [await connect(), await connect()]
        half.client.pause().write(GET + GET.slice(0, -4))
        const { response } = await asked(0)
        whole.client.pause().write(GET)
        await asked(1)
        const closed = connections.close(HOUR_MS)
        const text = read(half.client)
        await once(response, 'close')
        await read(whole.client) // its answer was taken later, and it is closed
        await turns()
        half.client.write(GET.slice(-4))
        assert.deepEqual(statuses(await text), ['200', '200'])
        await closed
      },
      { lingerMs: 1 },
      ({ answer }) => answer(LARGE),
    ))

  it('lets an answer that is on its way come through, however long that takes, and closes when it is taken', () =>
    inServer(
      async ({ server, connections, connect, asked }) => {
        server.keepAliveTimeout = HOUR_MS
        const [slow, idle] = [await connect(), await connect()]
        slow.client.pause().write(GET)
        ;(await asked(0)).answer(LARGE)
        const idleClosed = once(idle.accepted, 'close')
        const closed = connections.close(HOUR_MS)
        await idleClosed
        await turns()
        assert.ok((await read(slow.client)).endsWith(LARGE))
        await closed
      },
      { lingerMs: 1 },
    ))

  it('cuts off what is not answered in time', () =>
    inServer(async ({ connections, connect, asked }) => {
      const { client } = await connect()
      client.write(GET)
      await asked(0)
      const ended = once(client.resume(), 'close')
      await connections.close(1)
      await ended
    }))
})

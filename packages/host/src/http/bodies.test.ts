import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { inServer, POST, read } from '../../test/server.ts'

describe('the connections of a server', () => {
  it('wait for no body whose client has gone before it was asked for', () =>
    inServer(async ({ connections, connect, asked }) => {
      const { client, accepted } = await connect()
      client.write(`${POST(9)}1`)
      const { request, response } = await asked(0)
      client.destroy()
      await once(accepted, 'close')
      await assert.rejects(connections.readBody(request, response, 10), { code: 'CANCELLED' })
    }))

  it('refuse the body that has been arriving longest when too much is, and go on with the others', () =>
    inServer(
      async ({ connect, asked }) => {
        const [long, short] = [await connect(), await connect()]
        for (const [nth, { client }] of [long, short].entries()) {
          client.write(`${POST(10)}12345`)
          await asked(nth)
        }
        const refused = read(long.client)
        short.client.write('67890')
        assert.match(String(await once(short.client, 'data')), /1234567890$/)
        assert.match(await refused, /OVERLOADED$/)
      },
      { arrivingBytesMax: 10, lingerMs: 1 },
      ({ answerBody }) => answerBody(),
    ))

  it('take a body in whatever pieces it comes, and count what is kept of it, not what came before', () =>
    inServer(
      async ({ connect }) => {
        const { client } = await connect()
        const chunked = 'POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n'
        const inPieces = (text: string): string =>
          `${[...text].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`
        for (let nth = 0; nth < 5; nth++) {
          client.write(`${chunked}\r\n${inPieces('0123456789')}`)
          assert.match(String(await once(client, 'data')), /0123456789$/)
        }
        client.end(`${chunked}connection: close\r\n\r\n${inPieces('0123456789a')}`)
        assert.match(await read(client), /BODY_TOO_LARGE$/)
      },
      { arrivingBytesMax: 16, lingerMs: 1 },
      ({ answerBody }) => answerBody(),
    ))
})

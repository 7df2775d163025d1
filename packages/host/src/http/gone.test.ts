import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { Gone } from './gone.ts'

/** A request, and its client. */
async function withRequest(
  work: (response: ServerResponse, client: ReturnType<typeof connect>) => Promise<void>,
): Promise<void> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1') // it listens on TCP
  client
    .on('error', () => {})
    .resume()
    .write('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
  const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  try {
    await work(response, client)
  } finally {
    client.destroy()
    server.closeAllConnections()
    server.close()
  }
}

describe('that a client has gone', () => {
  it('is heard as soon as it is known', () =>
    withRequest(async (response, client) => {
      const gone = new Gone(response)
      const heard = new Promise<void>((resolve) => gone.addEventListener('abort', resolve))
      client.destroy()
      await heard
      assert.equal(gone.aborted, true)
    }))

  it('is known also to who asks when it is gone already', () =>
    withRequest(async (response, client) => {
      client.destroy()
      await once(response, 'close')
      assert.equal(new Gone(response).aborted, true)
    }))

  it('is not said of one that has had its answer', () =>
    withRequest(async (response) => {
      const gone = new Gone(response)
      response.end()
      await once(response, 'close')
      assert.deepEqual([gone.aborted, new Gone(response).aborted], [false, false])
    }))
})

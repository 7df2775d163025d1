import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { inSystem, type Bench } from '../../test/system.ts'

/** Sends bytes as they are, and resolves with all that came back until the connection was closed. */
async function talk(url: string, ...parts: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  socket.on('error', () => {}) // the other end may close while we still send
  await once(socket, 'connect')
  for (const part of parts) socket.write(part)
  await once(socket, 'close')
  return answer
}

const listening = (work: (url: string, bench: Bench) => Promise<void>, limits = {}): Promise<void> =>
  inSystem(async (bench) => work((await bench.gateway.listen({ port: 0 })).url, bench), limits)

const statuses = (answer: string): string[] => [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]!)

describe('the listener', () => {
  it('refuses headers over the limit, and closes', () =>
    listening(async (url) => {
      assert.deepEqual(statuses(await talk(url, `GET /count HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)), ['431'])
    }))

  it('refuses a client that takes too long over its headers or its body, and closes', () =>
    listening(
      async (url) => {
        assert.deepEqual(statuses(await talk(url, 'GET /count HTTP/1.1\r\nHost: x\r\n')), ['408'])
        assert.ok(statuses(await talk(url, 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"te')).includes('408'))
      },
      { headersTimeoutMs: 200, requestTimeoutMs: 200 },
    ))

  it('refuses requests that two readers could understand differently', () =>
    listening(async (url) => {
      const head = 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
      const bodies = [
        `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   `,
        `${head}Content-Length: +5\r\n\r\n{}   `,
        `${head}Content-Length : 5\r\n\r\n{}   `,
        `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      ]
      for (const request of bodies) assert.deepEqual(statuses(await talk(url, request, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')), ['400'], request)
    }))

  it('stops reading a body that is over the limit, and answers nothing that comes behind it', () =>
    listening(async (url) => {
      const head = 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
      const behind = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'
      assert.deepEqual(statuses(await talk(url, `${head}Content-Length: 5000\r\n\r\n${'x'.repeat(5_000)}`, behind)), ['413'])
      const chunk = `400\r\n${'x'.repeat(1_024)}\r\n`
      assert.deepEqual(statuses(await talk(url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`, chunk, '0\r\n\r\n', behind)), ['413'])
    }))

  it('says that its port is taken', () =>
    listening((url) =>
      inSystem(async ({ gateway }) => {
        const { port } = new URL(url)
        await assert.rejects(gateway.listen({ port: Number(port) }), { code: 'PORT_TAKEN', message: new RegExp(port) })
      }),
    ))

  it('drains: lets what is under way end, and takes nothing more', () =>
    listening(async (url, { gateway, slow }) => {
      await slow(async (release) => {
        const held = fetch(`${url}/held`)
        await underWay(url)
        const closed = gateway.close({ drainMs: 5_000 })
        await assert.rejects(fetch(`${url}/livez`))
        release()
        const answer = await held
        assert.deepEqual([answer.status, answer.headers.get('connection')], [200, 'close'])
        await closed
      })
    }))

  it('tells the operation when its client goes away', () =>
    listening(async (url, { slow, logged }) => {
      await slow(async (release) => {
        const client = new AbortController()
        const gone = assert.rejects(fetch(`${url}/held`, { signal: client.signal }))
        await underWay(url)
        client.abort()
        await gone
        release()
        assert.equal((await fetch(`${url}/livez`)).status, 200)
        assert.deepEqual(logged.filter(({ message }) => message.includes('INTERNAL')), [])
      })
    }))
})

/** Resolves when requests that were sent before have arrived: this one comes after them on the same loop. */
async function underWay(url: string): Promise<void> {
  await fetch(`${url}/livez`)
}

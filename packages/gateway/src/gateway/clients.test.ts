import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { createRandom, type Random } from '@atoll/testkit'
import { inSystem } from '../../test/system.ts'
import type { GatewayLimits } from './options.ts'

/** So small that every one of them is met. */
const limits: Partial<GatewayLimits> = {
  bodyBytesMax: 20_000, headerBytesMax: 4_000, headersTimeoutMs: 300, requestTimeoutMs: 300, keepAliveTimeoutMs: 300, answerTimeoutMs: 200, lingerMs: 20,
  requestsInFlightMax: 6, connectionsMax: 24, pipelinedMax: 3, pipelinedTotalMax: 10, unsentBytesMax: 100_000, arrivingBytesMax: 30_000,
}

const HOST = 'Host: x\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'

function put(id: string, text: string, framing: 'length' | 'chunks' | 'broken chunks' | 'too long' | 'expect'): string {
  const body = JSON.stringify({ text, more: 'm' })
  const head = `PUT /echo/${id} HTTP/1.1\r\n${HOST}${JSON_TYPE}`
  const chunk = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`
  switch (framing) {
    case 'length': return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
    case 'chunks': return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(body.slice(0, 7))}${chunk(body.slice(7))}0\r\n\r\n`
    case 'broken chunks': return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(body)}zz\r\n`
    case 'too long': return `${head}Content-Length: 1000000\r\n\r\n${body}`
    case 'expect': return `${head}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }
}

/** Something that a client may send: good, bad, or half of it. */
function draw(random: Random): string {
  const text = 'x'.repeat(random.int(3_000))
  const whole = random.pick([
    () => `GET /labels/a HTTP/1.1\r\n${HOST}\r\n`,
    () => `GET /maybe HTTP/1.1\r\n${HOST}Authorization: Bearer good-eve\r\n\r\n`.repeat(1 + random.int(6)),
    () => `GET /labels/a HTTP/1.1\r\n${HOST}${HOST}\r\n`,
    () => `HEAD /labels/a HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n12`,
    () => 'this is not HTTP\r\n\r\n',
    () => put('a', text, random.pick(['length', 'chunks', 'broken chunks', 'too long', 'expect'])),
    () => put('a', text, 'length') + put('b', text, random.pick(['chunks', 'broken chunks'])),
  ])()
  return random.int(3) === 0 ? whole.slice(0, random.int(whole.length)) : whole
}

/** A client that does anything, and at last goes away. */
async function misbehave(port: number, random: Random): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: random.int(2) === 0 })
  const closed = once(socket, 'close').catch(() => undefined)
  socket.on('error', () => {})
  if (random.int(2) === 0) socket.resume()
  for (let act = random.int(5); act >= 0 && !socket.destroyed; act--) {
    if (socket.writable) socket.write(draw(random))
    for (let turn = random.int(20); turn > 0; turn--) await new Promise(setImmediate)
    if (random.int(8) === 0) socket.end()
    if (random.int(8) === 0) socket.resume()
  }
  leave(socket, random)
  await closed
}

function leave(socket: Socket, random: Random): void {
  if (random.int(3) === 0) socket.resume().end() // and then it waits for the server to close
  else if (random.int(2) === 0 && socket.writable) socket.resetAndDestroy() // behind an end, Node.js would never finish closing it
  else socket.destroy()
}

/** Asks for an echo of one's own name; resolves with the status. Anything but one's own echo, or a refusal that says so, is a fault. */
function ask(port: number, agent: Agent, name: string): Promise<number | string> {
  const body = JSON.stringify({ text: name, more: 'y'.repeat(500) })
  return new Promise((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', agent, method: 'PUT', path: `/echo/${name}`, headers: { 'content-type': 'application/json', 'content-length': body.length } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      response.on('end', () => {
        const { statusCode: status = 0 } = response
        try {
          const { id } = JSON.parse(text) as { id?: string }
          assert.ok(status === 200 ? id === name : status === 503, `${name} was answered ${status}: ${text.slice(0, 200)}`)
          resolve(status)
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    asking.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message)) // its connection may be the one that makes place
    asking.end(body)
  })
}

describe('the gateway, whatever clients do,', () => {
  for (let seed = 1; seed <= 6; seed++) {
    it(`answers others with what they asked for, and nothing is left of those when they are gone: seed ${seed}`, () =>
      inSystem(
        async ({ gateway }) => {
          const port = Number(new URL((await gateway.listen({ port: 0 })).url).port)
          let isOver = false
          const honest = Array.from({ length: 3 }, async (_, nth) => {
            const agent = new Agent({ keepAlive: true, maxSockets: 1 })
            let answered = 0
            for (let asked = 0; !isOver || answered === 0; asked++) if ((await ask(port, agent, `h${nth}-${asked}`)) === 200) answered++
            agent.destroy()
          })
          const others = Array.from({ length: 10 }, async (_, nth) => {
            const own = createRandom(`${seed}/${nth}`)
            for (let times = 0; times < 12; times++) await misbehave(port, own)
          })
          await Promise.all(others).finally(() => (isOver = true))
          await Promise.all(honest) // each was answered
          // As many as may be under way are, at once, when the last of the others has been seen to be gone: no place is held, and no connection.
          const agents = Array.from({ length: 6 }, () => new Agent({ keepAlive: true }))
          const askAtOnce = (round: number): Promise<(number | string)[]> => Promise.all(agents.map((agent, nth) => ask(port, agent, `z${round}-${nth}`)))
          let round = 0
          while ((await askAtOnce(round++)).some((status) => status !== 200));
          for (const last = round + 5; round < last; round++) assert.deepEqual(await askAtOnce(round), Array(6).fill(200))
          for (const agent of agents) agent.destroy()
        },
        { limits },
      ))
  }
})

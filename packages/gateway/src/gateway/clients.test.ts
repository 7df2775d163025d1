import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { createRandom, type Random } from '@atoll/testkit'
import { inSystem } from '../../test/system.ts'
import type { GatewayLimits } from './options.ts'

const CONNECTIONS_MAX = 24
const REQUESTS_MAX = 6
/** Most often the first one will do. */
const ROUNDS_MAX = 200

/** So small that every one of them is met. */
const limits: Partial<GatewayLimits> = {
  bodyBytesMax: 20_000,
  headerBytesMax: 4_000,
  headersTimeoutMs: 300,
  requestTimeoutMs: 300,
  keepAliveTimeoutMs: 300,
  answerTimeoutMs: 200,
  lingerMs: 20,
  requestsInFlightMax: REQUESTS_MAX,
  connectionsMax: CONNECTIONS_MAX,
  pipelinedMax: 3,
  pipelinedTotalMax: 10,
  unsentBytesMax: 100_000,
  arrivingBytesMax: 30_000,
}

const HOST = 'Host: x\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'

function put(id: string, text: string, framing: 'length' | 'chunks' | 'broken chunks' | 'too long' | 'expect'): string {
  const body = JSON.stringify({ text, more: 'm' })
  const head = `PUT /echo/${id} HTTP/1.1\r\n${HOST}${JSON_TYPE}`
  const chunk = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`
  switch (framing) {
    case 'length':
      return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
    case 'chunks':
      return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(body.slice(0, 7))}${chunk(body.slice(7))}0\r\n\r\n`
    case 'broken chunks':
      return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(body)}zz\r\n`
    case 'too long':
      return `${head}Content-Length: 1000000\r\n\r\n${body}`
    case 'expect':
      return `${head}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n${body}`
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

interface Script {
  readonly allowHalfOpen: boolean
  readonly isReading: boolean
  readonly acts: readonly {
    readonly sent: string
    readonly turns: number
    readonly ends: boolean
    readonly reads: boolean
  }[]
  readonly leaves: 'when the server closes' | 'by a reset' | 'at once'
}

/**
 * Draws all that a client will do, before it does any of it: what a seed stands for must not depend on what the server
 * answers meanwhile.
 */
function drawScript(random: Random): Script {
  return {
    allowHalfOpen: random.int(2) === 0,
    isReading: random.int(2) === 0,
    acts: Array.from({ length: 1 + random.int(5) }, () => ({
      sent: draw(random),
      turns: random.int(20),
      ends: random.int(8) === 0,
      reads: random.int(8) === 0,
    })),
    leaves: random.pick(['when the server closes', 'by a reset', 'at once']),
  }
}

/** A client that does anything, and at last goes away. */
async function misbehave(port: number, { allowHalfOpen, isReading, acts, leaves }: Script): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen })
  const closed = once(socket, 'close').catch(() => undefined)
  socket.on('error', () => {})
  if (isReading) socket.resume()
  for (const { sent, turns, ends, reads } of acts) {
    if (socket.destroyed) break
    if (socket.writable) socket.write(sent)
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    if (ends) socket.end()
    if (reads) socket.resume()
  }
  if (leaves === 'when the server closes') socket.resume().end()
  // behind an end, Node.js would never finish closing it
  else if (leaves === 'by a reset' && socket.writable) socket.resetAndDestroy()
  else socket.destroy()
  await closed
}

/**
 * Asks for an echo of one's own name; resolves with the status. Anything but one's own echo, or a refusal that says so,
 * is a fault.
 */
function ask(port: number, agent: Agent, name: string): Promise<number | string> {
  const body = JSON.stringify({ text: name, more: 'y'.repeat(500) })
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        port,
        host: '127.0.0.1',
        agent,
        method: 'PUT',
        path: `/echo/${name}`,
        headers: { 'content-type': 'application/json', 'content-length': body.length },
      },
      (response) => {
        let text = ''
        response
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
        response.on('end', () => {
          const { statusCode: status = 0 } = response
          try {
            const { id } = JSON.parse(text) as { id?: string }
            // the server may find its clients slow where the machine is
            const isRefused = status === 503 || status === 408
            assert.ok(status === 200 ? id === name : isRefused, `${name} was answered ${status}: ${text.slice(0, 200)}`)
            resolve(status)
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)))
          }
        })
      },
    )
    // its connection may be the one that makes place
    asking.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    asking.end(body)
  })
}

/**
 * The statuses of two requests, one after the other, on each of as many connections as there may be; all of them are
 * open until all have been asked.
 */
async function askOnEveryConnection(port: number): Promise<string[]> {
  const sockets = Array.from({ length: CONNECTIONS_MAX }, () =>
    connect({ port, host: '127.0.0.1' }).on('error', () => {}),
  )
  try {
    const first = await Promise.all(sockets.map(askForLife))
    return [...first, ...(await Promise.all(sockets.map(askForLife)))]
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

/** Asks for `/livez`, which no limit of requests refuses; resolves with the status, or with `closed`. */
function askForLife(socket: Socket): Promise<string> {
  if (socket.destroyed) return Promise.resolve('closed')
  return new Promise((resolve) => {
    let text = ''
    const settle = (status: string): void => {
      socket.off('data', take).off('close', gone)
      resolve(status)
    }
    const gone = (): void => settle('closed')
    const take = (part: Buffer): void => {
      text += part.toString('latin1')
      if (text.includes('{"live":true}')) settle(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? text)
    }
    socket.on('data', take).on('close', gone).write(`GET /livez HTTP/1.1\r\n${HOST}\r\n`)
  })
}

/**
 * Asks again and again until everybody hears 200: servers notice a little later than their clients that these are gone.
 * Fails after a number of rounds with what was heard last.
 */
async function untilAllAreServed(
  what: string,
  ask: (round: number) => Promise<readonly (number | string)[]>,
): Promise<void> {
  let heard: readonly (number | string)[] = []
  for (let round = 0; round < ROUNDS_MAX; round++) {
    heard = await ask(round)
    if (heard.every((status) => String(status) === '200')) return
  }
  assert.fail(`${what} are still not served after ${ROUNDS_MAX} rounds; the last was answered ${heard.join(', ')}`)
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
            for (let asked = 0; !isOver || answered === 0; asked++)
              if ((await ask(port, agent, `h${nth}-${asked}`)) === 200) answered++
            agent.destroy()
          })
          const others = Array.from({ length: 10 }, async (_, nth) => {
            const random = createRandom(`${seed}/${nth}`)
            for (const script of Array.from({ length: 12 }, () => drawScript(random))) await misbehave(port, script)
          })
          await Promise.all(others).finally(() => (isOver = true))
          await Promise.all(honest) // each was answered
          // When the last of the others has been seen to be gone, as many as may be under way are, at once, and as many
          // connections as may be open are served: no place is held.
          const agents = Array.from({ length: REQUESTS_MAX }, () => new Agent({ keepAlive: true }))
          const askAtOnce = (round: number): Promise<(number | string)[]> =>
            Promise.all(agents.map((agent, nth) => ask(port, agent, `z${round}-${nth}`)))
          await untilAllAreServed(`${REQUESTS_MAX} requests at a time`, askAtOnce)
          for (const agent of agents) agent.destroy()
          await untilAllAreServed(`${CONNECTIONS_MAX} connections at a time`, () => askOnEveryConnection(port))
        },
        { limits },
      ))
  }
})

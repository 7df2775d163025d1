import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { AtollError } from '@atoll/host'

export const HOST = '127.0.0.1'

/**
 * Between the ports of `npm run engines` and those that systems give to outgoing connections (from 32768 on Linux): an
 * engine that was killed finds its port free when it comes back.
 */
const LOWEST = 22_000
const HIGHEST = 32_000

/** Which this process has given away. What looks for a port does not bind it at once. */
const given = new Set<number>()

/** The first of so many free ports on loopback that follow one another. */
export async function findPorts(count: number): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const first = randomInt(LOWEST, HIGHEST - count)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if (ports.some((port) => given.has(port))) continue
    for (const port of ports) given.add(port)
    if ((await firstTaken(ports)) === undefined) return first
  }
  throw new AtollError(
    'PORT_TAKEN',
    `found no ${count} free ports between ${LOWEST} and ${HIGHEST} in ${TRIES_MAX} tries; end what listens there`,
  )
}

const TRIES_MAX = 100

/** Throws if one of these ports is taken. */
export async function assertFree(name: string, first: number, count: number): Promise<void> {
  const taken = await firstTaken(Array.from({ length: count }, (_, index) => first + index))
  if (taken === undefined) return
  throw new AtollError(
    'PORT_TAKEN',
    `${name} cannot listen on ${HOST}:${taken}: something else does; end it (is \`npm run engines\` running already?)`,
  )
}

async function firstTaken(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) {
    const server = createServer()
    try {
      server.listen({ host: HOST, port, exclusive: true })
      await once(server, 'listening')
    } catch {
      return port
    } finally {
      server.close()
    }
  }
  return undefined
}

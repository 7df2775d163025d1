import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AtollError } from '../error.ts'

/** What is said where a server cannot listen. */
export interface ListenRefusals {
  readonly portTaken: string
  /** `code`: of the system, such as EADDRNOTAVAIL, or of Node.js, such as ERR_SOCKET_BAD_PORT. */
  addressRefused(code: string | undefined): string
}

/**
 * Has a server listen; `port` 0 takes a free one. Resolves with the port, and with the host as a URL names it.
 * PORT_TAKEN, CONFIG_INVALID.
 */
export async function listenAt(
  server: Server,
  { port, host }: { port: number; host: string },
  refusals: ListenRefusals,
): Promise<{ port: number; urlHost: string }> {
  try {
    await once(server.listen(port, host), 'listening') // listen itself throws for a number that is not a port
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new AtollError('PORT_TAKEN', refusals.portTaken, { cause: error })
    throw new AtollError('CONFIG_INVALID', refusals.addressRefused(code), { cause: error })
  }
  const address = server.address() as AddressInfo // it listens on TCP
  return { port: address.port, urlHost: host.includes(':') ? `[${host}]` : host }
}

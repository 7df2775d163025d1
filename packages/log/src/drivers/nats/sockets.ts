import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** What collects the sockets that are opened on behalf of what runs. */
const opening = new AsyncLocalStorage<Opening>()

interface Opening {
  /** Undefined once it has ended: whatever comes of the connection from then on runs on its behalf as well. */
  collect: ((socket: Socket) => void) | undefined
}

channel('net.client.socket').subscribe((message) =>
  opening.getStore()?.collect?.((message as { socket: Socket }).socket),
) // as Node.js documents that channel

/**
 * Runs `work`, which opens connections one after the other until one serves, and closes those that it leaves behind:
 * the client library forgets a socket on which the server was late to introduce itself, and such a socket would keep
 * its process from ending. If `work` fails or `signal` aborts, it closes all.
 */
export async function closingLeftovers<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const sockets: Socket[] = []
  const mine: Opening = {
    collect(socket) {
      sockets.push(socket)
      if (signal.aborted) process.nextTick(() => socket.destroy()) // the client goes on to its next server
    },
  }
  const closeAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  signal.addEventListener('abort', closeAll, { once: true })
  try {
    const made = await opening.run(mine, work)
    sockets.pop() // it serves
    return made
  } finally {
    mine.collect = undefined
    signal.removeEventListener('abort', closeAll)
    closeAll()
  }
}

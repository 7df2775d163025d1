import type { Socket } from 'node:net'

/**
 * The lines that come over a socket, until it ends, in whatever way it ends: whoever is at the other end may be killed
 * at any moment. A line longer than `charsMax` is the end, too.
 */
export async function* linesOf(socket: Socket, charsMax = Infinity): AsyncGenerator<string> {
  socket.setEncoding('utf8')
  let rest = ''
  try {
    // Only read to the end of it: what is to be sent back has still to go out.
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()! // split answers one text at least
      if (rest.length > charsMax) return
      yield* lines
    }
  } catch {
    // The connection broke.
  }
}

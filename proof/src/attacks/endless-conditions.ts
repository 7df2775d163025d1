import type { Attack } from './attack.ts'
import { Connections, onStatus, paced } from './wire.ts'

/** As long as headers may be, and nothing in it is a tag but the first. */
const condition = `"a"${','.repeat(15_000)}x`

export const endlessConditions: Attack = {
  name: 'endless-conditions',
  section: 'Headers that take long to understand',
  what: '50 requests a second, each with an If-Match of 15,000 commas that is no list of tags',
  outcome: '400',
  run(target, outcomes, signal) {
    const connections = new Connections(target, CONNECTIONS_MAX, signal)
    return paced(50, signal, () => {
      const socket = connections.open()
      if (!socket) return outcomes.count('not sent')
      onStatus(socket, (status) => outcomes.count(status))
      socket.once('end', () => socket.end()).write(`GET /api/tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-Match: ${condition}\r\n\r\n`)
    })
  },
}

const CONNECTIONS_MAX = 500

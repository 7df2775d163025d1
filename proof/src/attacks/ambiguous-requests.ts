import type { Attack } from './attack.ts'
import { Connections, onStatus, paced } from './wire.ts'

const head = 'POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
const behind = 'GET /api/tags HTTP/1.1\r\nHost: x\r\n\r\n'
const requests = [
  `GET /api/tags HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n${behind}`,
  `GET /api/tags HTTP/2.0\r\nHost: x\r\n\r\n${behind}`,
  `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${behind}`,
  `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ${behind}`,
]

export const ambiguousRequests: Attack = {
  name: 'ambiguous-requests',
  section: 'Requests that two readers could understand differently',
  what: '100 requests a second with two hosts, two lengths, a length beside chunks, or of HTTP/2.0, and another request behind each',
  outcome: '400',
  run(target, outcomes, signal) {
    const connections = new Connections(target, CONNECTIONS_MAX, signal)
    let nth = 0
    return paced(100, signal, () => {
      const socket = connections.open()
      if (!socket) return outcomes.count('not sent')
      onStatus(socket, (status) => outcomes.count(status))
      socket.once('end', () => socket.end()).write(requests[nth++ % requests.length]!) // the remainder is one of them
    })
  },
}

const CONNECTIONS_MAX = 500

import type { Attack } from './attack.ts'
import { inTurn, sending } from './wire.ts'

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
  run: sending({ perSecond: 100, connectionsMax: 500 }, inTurn(requests)),
}

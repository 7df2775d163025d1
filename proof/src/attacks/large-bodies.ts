import type { Attack } from './attack.ts'
import { sending } from './wire.ts'

const body = JSON.stringify(Object.fromEntries(Array.from({ length: 90_000 }, (_, nth) => [`k${nth}`, 1])))
const request = `POST /api/users/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

export const largeBodies: Attack = {
  name: 'large-bodies',
  section: 'Bodies that take long to read, and answers that take long to make',
  what: '5 bodies a second of 90,000 fields, a megabyte each',
  outcome: '413',
  run: sending({ perSecond: 5, connectionsMax: 50 }, () => request),
}

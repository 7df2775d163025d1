import type { Attack } from './attack.ts'
import { inTurn, sending } from './wire.ts'

/** What is said over each, in turn. */
const openings = [
  '',
  'GET /api/tags HTTP/1.1\r\nHost: x\r\n',
  'POST /api/users/login HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
]

export const silentConnections: Attack = {
  name: 'silent-connections',
  section: 'Connections that say nothing',
  what: '400 connections a second that say nothing, half of their headers, or half of their body, and never close their half',
  outcome: '408',
  run: sending({ perSecond: 400, connectionsMax: 8_000, staysOpen: true }, inTurn(openings)),
}

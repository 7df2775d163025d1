import type { Attack } from './attack.ts'
import { sending } from './wire.ts'

const requests = 'GET /api/tags HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200)

export const pipelinedRequests: Attack = {
  name: 'pipelined-requests',
  section: 'Clients that do not read',
  what: '2 connections a second that each ask two hundred times in one packet, where a hundred may wait',
  outcome: '503',
  run: sending({ perSecond: 2, connectionsMax: 100 }, () => requests),
}

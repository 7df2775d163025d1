import type { Attack } from './attack.ts'
import { Connections, onStatus, paced } from './wire.ts'

export const pipelinedRequests: Attack = {
  name: 'pipelined-requests',
  section: 'Clients that do not read',
  what: '2 connections a second that each ask two hundred times in one packet, where a hundred may wait',
  outcome: '503',
  run(target, outcomes, signal) {
    const connections = new Connections(target, CONNECTIONS_MAX, signal)
    const requests = 'GET /api/tags HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200)
    return paced(2, signal, () => {
      const socket = connections.open()
      if (!socket) return outcomes.count('not sent')
      onStatus(socket, (status) => outcomes.count(status))
      socket.once('end', () => socket.end()).write(requests)
    })
  },
}

const CONNECTIONS_MAX = 100

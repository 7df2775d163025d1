import type { Attack } from './attack.ts'
import { Connections, paced } from './wire.ts'

export const unreadAnswers: Attack = {
  name: 'unread-answers',
  section: 'Clients that do not read',
  what: '2 connections a second that each ask a hundred times for an article of 600 KB, and read nothing',
  outcome: 'closed',
  run(target, outcomes, signal) {
    const connections = new Connections(target, CONNECTIONS_MAX, signal)
    const requests = `GET /api/articles/${target.slug} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(100)
    return paced(2, signal, () => {
      const socket = connections.open()
      if (!socket) return outcomes.count('not sent')
      outcomes.count('sent')
      const nudge = setInterval(() => socket.write('\r\n'), NUDGE_MS)
      socket.once('close', () => {
        clearInterval(nudge)
        if (!signal.aborted) outcomes.count('closed')
      })
      socket.pause().write(requests)
    })
  },
}

const CONNECTIONS_MAX = 400
/** Who does not read learns that a connection was closed by writing to it. */
const NUDGE_MS = 100

import type { Attack } from './attack.ts'
import { Connections, onStatus } from './wire.ts'

export const logins: Attack = {
  name: 'logins',
  section: 'Logins',
  what: '300 logins under way at a time, each sent again when it was answered',
  outcome: '503',
  async run(target, outcomes, signal) {
    const connections = new Connections(target, UNDER_WAY, signal)
    const ask = (nth: number): Promise<void> =>
      new Promise((resolve) => {
        const socket = connections.open()
        if (!socket) return resolve()
        const body = JSON.stringify({ user: { email: `nobody${nth}@example.com`, password: 'a password of nobody' } })
        onStatus(socket, (status) => outcomes.count(status))
        socket.once('end', () => socket.end()).once('close', () => resolve())
        socket.write(
          `POST /api/users/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        )
      })
    const one = async (nth: number): Promise<void> => {
      while (!signal.aborted) await ask(nth)
    }
    await Promise.all(Array.from({ length: UNDER_WAY }, (_, nth) => one(nth)))
  },
}

const UNDER_WAY = 300

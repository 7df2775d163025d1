import type { Socket } from 'node:net'
import type { Attack } from './attack.ts'
import type { Target } from './target.ts'
import { Connections, onStatus, paced } from './wire.ts'

export const forgedPositions: Attack = attackWith(
  'forged-positions',
  'three places',
  ({ forged: { partition, order } }) => ['articles.9999.1', `identity.${partition}.${order}`, 'social.9999.1'],
)

export const manyForgedPositions: Attack = attackWith('many-forged-positions', '256 places', () =>
  Array.from({ length: 256 }, (_, nth) => `articles.${nth}.99999999`),
)

function attackWith(name: string, places: string, of: (target: Target) => readonly string[]): Attack {
  return {
    name,
    section: 'Positions that are made up, or of another history',
    what: `300 requests a second over two connections, each with a position of ${places} that nobody ever had`,
    outcome: '200',
    run(target, outcomes, signal) {
      const connections = new Connections(target, CONNECTIONS, signal)
      const request = `GET /api/profiles/${target.username} HTTP/1.1\r\nHost: x\r\natoll-position: ${of(target).join()}\r\n\r\n`
      const places = Array.from(
        { length: CONNECTIONS },
        () => new Place(connections, (status) => outcomes.count(status)),
      )
      let nth = 0
      return paced(300, signal, () => {
        if (!places[nth++ % CONNECTIONS]!.ask(request)) outcomes.count('not sent') // the remainder is one of them
      })
    },
  }
}

/** One connection, opened again when it was closed, with a few requests under way. */
class Place {
  readonly #connections: Connections
  readonly #told: (status: string) => void
  #socket: Socket | undefined
  #underWay = 0

  constructor(connections: Connections, told: (status: string) => void) {
    this.#connections = connections
    this.#told = told
  }

  /** False if as many are under way as the gateway lets wait. */
  ask(request: string): boolean {
    if (this.#underWay >= PIPELINED_MAX) return false
    this.#socket ??= this.#connect()
    if (!this.#socket) return false
    this.#underWay++
    this.#socket.write(request)
    return true
  }

  #connect(): Socket | undefined {
    const socket = this.#connections.open()
    if (!socket) return undefined
    this.#underWay = 0
    onStatus(socket, (status) => {
      this.#underWay--
      this.#told(status)
    })
    socket.once('end', () => socket.end()).once('close', () => (this.#socket = undefined))
    return socket
  }
}

const CONNECTIONS = 20
const PIPELINED_MAX = 9

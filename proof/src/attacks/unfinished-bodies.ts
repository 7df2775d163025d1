import type { Attack } from './attack.ts'
import { sending } from './wire.ts'

const request =
  'POST /api/users/login HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{'

export const unfinishedBodies: Attack = {
  name: 'unfinished-bodies',
  section: 'Connections that say nothing',
  what: '400 logins a second of which the body never ends',
  outcome: '408',
  run: sending({ perSecond: 400, connectionsMax: 8_000, staysOpen: true }, () => request),
}

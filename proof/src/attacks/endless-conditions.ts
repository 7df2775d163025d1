import type { Attack } from './attack.ts'
import { sending } from './wire.ts'

/** As long as headers may be, and nothing in it is a tag but the first. */
const condition = `"a"${','.repeat(15_000)}x`
const request = `GET /api/tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-Match: ${condition}\r\n\r\n`

export const endlessConditions: Attack = {
  name: 'endless-conditions',
  section: 'Headers that take long to understand',
  what: '50 requests a second, each with an If-Match of 15,000 commas that is no list of tags',
  outcome: '400',
  run: sending({ perSecond: 50, connectionsMax: 500 }, () => request),
}

import { ambiguousRequests } from './ambiguous-requests.ts'
import type { Attack } from './attack.ts'
import { endlessConditions } from './endless-conditions.ts'
import { forgedPositions, manyForgedPositions } from './forged-positions.ts'
import { largeBodies } from './large-bodies.ts'
import { logins } from './logins.ts'
import { pipelinedRequests } from './pipelined-requests.ts'
import { silentConnections } from './silent-connections.ts'
import { unfinishedBodies } from './unfinished-bodies.ts'
import { unreadAnswers } from './unread-answers.ts'

/** In the order of docs/operating/security.md. */
export const attacks: readonly Attack[] = [
  silentConnections,
  unfinishedBodies,
  unreadAnswers,
  pipelinedRequests,
  ambiguousRequests,
  largeBodies,
  endlessConditions,
  forgedPositions,
  manyForgedPositions,
  logins,
]

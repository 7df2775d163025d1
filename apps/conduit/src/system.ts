import type { GatewayOptions } from '@atoll/gateway'
import { system } from 'atoll'
import type { RunningSystem } from 'atoll/runtime'
import articles from './articles/service.ts'
import comments from './comments/service.ts'
import favorites from './favorites/service.ts'
import { createAuthenticator } from './identity/authenticate.ts'
import identity from './identity/service.ts'
import profiles from './profiles/service.ts'
import reading from './reading/service.ts'
import { seed } from './seed.ts'

export default system('conduit', { services: [identity, profiles, articles, comments, favorites, reading], seed })

/**
 * What the gateway needs to know: RealWorld clients look for the API below /api, from any page, with a token in a
 * header.
 */
export const gateway = (running: RunningSystem): Partial<GatewayOptions> => ({
  basePath: '/api',
  cors: { origins: '*' },
  authenticate: createAuthenticator(running),
})

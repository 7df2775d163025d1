import { pause } from '@atoll/engines/waiting'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { defaultLimits, type NatsLogLimits } from '../../src/nats.ts'
import { createNetwork } from '../network.ts'
import { startOwnEngine } from '../own-engine.ts'
import { createNatsServer } from './server.ts'
import { createNatsWorld } from './world.ts'

/** Worlds of logs on a NATS server, each a system of its own. */
export function createNatsHarness(shared: string, limits: Partial<NatsLogLimits> = {}): LogHarness {
  return {
    capabilities: {
      checksAppends: true,
      persistent: true,
      canBeDurable: true,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    faults: [
      'crash',
      'lose',
      'share',
      'stranger',
      'cut',
      'silence',
      'loseAnswers',
      'resetAfter',
      'restart',
      'impostor',
    ],
    pause,

    async open(fault) {
      const own = fault === 'restart' ? await startOwnEngine('nats') : undefined
      const url = own?.engine.url ?? shared
      const { world, dispose } = await createNatsWorld(url)
      const other = await createNatsWorld(url)
      const network = await createNetwork(url, 4222)
      const strict = await createNatsServer()
      const open = (): Promise<Log> => world.open({ limits, servers: network.url })
      return {
        log: await open(),
        reopen: open,
        ...network,
        restart: () => own!.engine.restart(), // of the world that a test of it gets
        async impostor() {
          await strict.start('jetstream { store_dir: "data" }\nauthorization { user: shop, password: right }')
          const by = strict.url.replace('//', '//shop:not-this@')
          return { log: await world.open({ limits, servers: by }), secret: 'not-this' }
        },
        crash: open, // what a process that died would leave behind is all on the server
        share: () => world.open({ limits }),
        stranger: () => other.world.open({ limits }),
        lose: async (source) => void (await world.ask(`STREAM.DELETE.${world.stream(source)}`)),
        async dispose() {
          await dispose()
          await other.dispose()
          await network.close()
          await own?.dispose()
          await strict.dispose()
        },
      }
    },
  }
}

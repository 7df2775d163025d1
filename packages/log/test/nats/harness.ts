import { createNodeHost } from '@atoll/host/node'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { defaultLimits, type NatsLogLimits } from '../../src/nats.ts'
import { createNetwork } from '../network.ts'
import { createNatsWorld } from './world.ts'

const host = createNodeHost()

/** Worlds of logs on a NATS server, each a system of its own. */
export function createNatsHarness(url: string, limits: Partial<NatsLogLimits> = {}): LogHarness {
  return {
    capabilities: {
      checksAppends: true,
      persistent: true,
      durable: true,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    faults: ['crash', 'lose', 'share', 'stranger', 'cut', 'silence'],
    pause: () => new Promise((resolve) => void host.after(5, resolve)),

    async open() {
      const { world, dispose } = await createNatsWorld(url)
      const other = await createNatsWorld(url)
      const network = await createNetwork(url, 4222)
      const open = (): Promise<Log> => world.open({ limits, servers: network.url })
      return {
        log: await open(),
        reopen: open,
        cut: network.cut,
        silence: network.silence,
        crash: open, // what a process that died would leave behind is all on the server
        share: () => world.open({ limits }),
        stranger: () => other.world.open({ limits }),
        lose: async (source) => void (await world.ask(`STREAM.DELETE.${world.stream(source)}`)),
        async dispose() {
          await dispose()
          await other.dispose()
          await network.close()
        },
      }
    },
  }
}

import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { engineUrl } from '@atoll/engines'
import type { Log } from '../../driver.ts'
import { testLog } from '../../conformance.ts'
import { brokerOf, createKafkaWorld } from '../../../test/kafka/world.ts'
import { defaultLimits } from './limits.ts'

testLog(
  'the Kafka log',
  { describe, it },
  {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: defaultLimits.dataBytesMax },
    faults: ['crash', 'lose', 'share', 'stranger', 'cut', 'silence'],
    pause: () => delay(5),

    async open() {
      const world = createKafkaWorld(brokerOf(engineUrl('kafka')))
      const other = createKafkaWorld(brokerOf(engineUrl('kafka')))
      const proxy = await world.proxy()
      const open = (): Promise<Log> => world.open({ brokers: [proxy.broker] })
      return {
        log: await open(),
        reopen: open,
        async cut() {
          await proxy.refuse()
          return () => proxy.listen()
        },
        async silence() {
          proxy.silence()
          return async () => proxy.speak()
        },
        crash: open, // the first one is left as it is, with what it has under way
        share: () => world.open(),
        stranger: () => other.open(),
        lose: (source) => world.deleteTopic(source),
        async dispose() {
          await world.dispose()
          await other.dispose()
        },
      }
    },
  },
)

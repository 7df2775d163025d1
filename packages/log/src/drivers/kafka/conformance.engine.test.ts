import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { pause } from '@atoll/engines/waiting'
import type { Log } from '../../driver.ts'
import { testLog } from '../../conformance.ts'
import { brokerOf, createKafkaWorld } from '../../../test/kafka/world.ts'
import { startOwnEngine } from '../../../test/own-engine.ts'
import { defaultLimits } from './limits.ts'

testLog(
  'the Kafka log',
  { describe, it },
  {
    capabilities: {
      checksAppends: true,
      persistent: true,
      canBeDurable: true,
      dataBytesMax: defaultLimits.dataBytesMax,
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
      const own = fault === 'restart' ? await startOwnEngine('kafka') : undefined
      const broker = brokerOf(own?.engine.url ?? engineUrl('kafka'))
      const world = createKafkaWorld(broker)
      const other = createKafkaWorld(broker)
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
        async loseAnswers() {
          proxy.loseAnswers()
          return async () => proxy.speak()
        },
        resetAfter: (bytes) => proxy.resetAfter(bytes),
        restart: () => own!.engine.restart(), // of the world that a test of it gets
        async impostor() {
          const sasl = { mechanism: 'PLAIN', username: 'alice', password: 'not-this' } as const
          return { log: await world.open({ brokers: [await world.refusing()], sasl }), secret: sasl.password }
        },
        crash: open, // the first one is left as it is, with what it has under way
        share: () => world.open(),
        stranger: () => other.open(),
        lose: (source) => world.deleteTopic(source),
        async dispose() {
          await world.dispose()
          await other.dispose()
          await own?.dispose()
        },
      }
    },
  },
)

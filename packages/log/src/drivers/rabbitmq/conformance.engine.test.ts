import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createRabbitmqHarness } from '../../../test/rabbitmq/harness.ts'
import { testLog } from '../../conformance.ts'

testLog('a log on RabbitMQ', { describe, it }, createRabbitmqHarness(engineUrl('rabbitmq')))

// The same, where an append takes many messages, few of which come ahead, and next to nothing stays in memory.
testLog(
  'a log on RabbitMQ with narrow limits',
  { describe, it },
  createRabbitmqHarness(engineUrl('rabbitmq'), {
    messageRecordsMax: 3,
    readAheadMessages: 2,
    recentBytesMax: 1_000,
    readBytesMax: 2_000,
    dataBytesMax: 4096,
  }),
)

import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createNatsHarness } from '../../../test/nats/harness.ts'
import { testLog } from '../../conformance.ts'

testLog('a log on NATS', { describe, it }, createNatsHarness(engineUrl('nats')))
// Messages of few records, batches of few messages, and nothing in memory: what is large otherwise happens all the
// time.
testLog(
  'a log on NATS in small parts',
  { describe, it },
  createNatsHarness(engineUrl('nats'), {
    messageRecordsMax: 3,
    batchMessagesMax: 4,
    readBytesMax: 4_000,
    recentBytesMax: 0,
  }),
)

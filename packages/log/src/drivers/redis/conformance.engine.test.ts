import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createRedisHarness } from '../../../test/redis/harness.ts'
import { testLog } from '../../conformance.ts'

testLog('a log on Redis', { describe, it }, createRedisHarness(engineUrl('redis')))

// The same, where most appends take several runs of the script, and most reads several steps.
testLog(
  'a log on Redis with narrow limits',
  { describe, it },
  createRedisHarness(engineUrl('redis'), { scriptRecordsMax: 7, dataBytesMax: 4096, readBytesMax: 8192 }),
)

import { describe, it } from 'node:test'
import { testLog } from '../../conformance.ts'
import { createEmbeddedHarness } from '../../../test/embedded/harness.ts'

testLog('an embedded log', { describe, it }, createEmbeddedHarness('file'))
testLog('an embedded log that a thread writes', { describe, it }, createEmbeddedHarness('thread'))
testLog(
  'an embedded log that keeps nothing in memory',
  { describe, it },
  createEmbeddedHarness('file', { recentBytesMax: 0 }),
)
testLog(
  'an embedded log that forgets soon',
  { describe, it },
  createEmbeddedHarness('file', { recentBytesMax: 20_000 }),
)
testLog('an embedded log without a file', { describe, it }, createEmbeddedHarness('memory'))

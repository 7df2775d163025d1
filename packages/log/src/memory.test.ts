import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemoryHarness } from '../test/memory/harness.ts'
import { testLog } from './conformance.ts'
import { createMemoryLog } from './memory.ts'

const dataBytesMax = 4096
const volatile = createMemoryHarness(() => createMemoryLog({ dataBytesMax }))
const onStorage = createMemoryHarness((storage) => createMemoryLog({ storage, dataBytesMax }))
const unchecked = createMemoryHarness((storage) => createMemoryLog({ storage, dataBytesMax, checksAppends: false }))

testLog('a memory log', { describe, it }, volatile)
testLog('a memory log on a storage', { describe, it }, onStorage)
testLog('a memory log that does not check appends', { describe, it }, unchecked)

describe('a memory log that is asked for what another log gave', () => {
  it('refuses it, and does not begin at the beginning', async () => {
    const log = createMemoryLog()
    for (const offset of ['yesterday', '7.0.7.id'])
      await assert.rejects(log.read('orders', 0, offset, 10), { code: 'INVALID' })
    await log.close()
  })
})

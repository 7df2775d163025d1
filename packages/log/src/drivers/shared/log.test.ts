import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createManualHost } from '../../../test/manual-host.ts'
import { assertRefused, createRecord, createRecords } from '../../conformance/records.ts'
import { commonLimits, type CommonLimits } from './limits.ts'
import { toLog, type EngineLog } from './log.ts'

/** An engine whose appends end when the test says so. */
function createWorld(limits: Partial<CommonLimits> = {}) {
  const host = createManualHost()
  const appends: PromiseWithResolvers<void>[] = []
  const calls: string[] = []
  const engine: EngineLog = {
    engine: 'the engine',
    capabilities: { checksAppends: true, persistent: true, canBeDurable: true, dataBytesMax: 100 },
    append() {
      calls.push('append')
      const append = Promise.withResolvers<void>()
      appends.push(append)
      return append.promise
    },
    async read(_source, _partition, _after, limit) {
      calls.push(`read ${limit}`)
      return []
    },
    async tail() {
      calls.push('tail')
      return null
    },
    watch: () => () => {},
    examine: () => Promise.reject(new AtollError('UNAVAILABLE', 'it is not asked here')),
    abandon() {
      calls.push('abandon')
      for (const { reject } of appends) reject(new AtollError('UNAVAILABLE', 'given up'))
    },
    close: () => void calls.push('close'),
  }
  return { host, appends, calls, log: toLog(engine, host, { ...commonLimits, dataBytesMax: 100, ...limits }) }
}

describe('what every log does around its engine', () => {
  it('refuses before the engine is asked what cannot be', async () => {
    const { log, calls } = createWorld({ appendRecordsMax: 3 })
    const large = `"${'é'.repeat(50)}"`
    await assertRefused('INVALID', log.append('Orders', [createRecord('Orders', 0, 1)]))
    await assertRefused('INVALID', log.append('orders', [createRecord('orders', -1, 1)]))
    await assertRefused('INVALID', log.append('orders', [createRecord('orders', 0, 0)]))
    await assertRefused('BODY_TOO_LARGE', log.append('orders', [createRecord('orders', 0, 1, { data: large })]))
    await assertRefused('BODY_TOO_LARGE', log.append('orders', createRecords('orders', 0, 1, 4)))
    await assertRefused('INVALID', log.read('orders', 0.5, null, 1))
    await assertRefused('INVALID', log.tail('../orders', 0))
    assert.throws(() => log.watch('', () => {}), /INVALID/)
    assert.deepEqual(await log.read('orders', 0, null, 0), [])
    await log.append('orders', [])
    assert.deepEqual(calls, [])
  })

  it('asks for no more records at a time than its limit', async () => {
    const { log, calls } = createWorld({ readRecordsMax: 7 })
    await log.read('orders', 0, null, 1_000)
    assert.deepEqual(calls, ['read 7'])
  })

  it('refuses with OVERLOADED what is too much beside what is under way, and one append alone never', async () => {
    const { log, appends } = createWorld({ queuedRecordsMax: 5, queuedBytesMax: 1_000, dataBytesMax: 1_000 })
    const first = log.append('orders', createRecords('orders', 0, 1, 6))
    await assertRefused('OVERLOADED', log.append('payments', createRecords('payments', 0, 1, 1)))
    appends[0]!.resolve()
    await first
    const second = log.append('payments', createRecords('payments', 0, 1, 1))
    await assertRefused(
      'OVERLOADED',
      log.append('orders', [createRecord('orders', 0, 7, { data: `"${'x'.repeat(990)}"` })]),
    )
    appends[1]!.reject(new AtollError('UNAVAILABLE', 'it went away'))
    await assertRefused('UNAVAILABLE', second)
    const third = log.append('orders', [createRecord('orders', 0, 7, { data: `"${'x'.repeat(990)}"` })])
    appends[2]!.resolve()
    await third
  })

  it('closes when the appends under way have ended, and asks nothing any more', async () => {
    const { host, log, appends, calls } = createWorld()
    const append = log.append('orders', [createRecord('orders', 0, 1)])
    const closed = log.close()
    await host.pass(commonLimits.closeMs - 1)
    assert.deepEqual(calls, ['append'])
    appends[0]!.resolve()
    await Promise.all([append, closed])
    assert.deepEqual(calls, ['append', 'close'])
    for (const call of [
      () => log.append('orders', []),
      () => log.read('orders', 0, null, 1),
      () => log.tail('orders', 0),
      () => log.examine(),
    ])
      await assertRefused('LOG_CLOSED', call())
    await host.pass(60_000)
    assert.deepEqual(calls, ['append', 'close'])
  })

  it('gives up after closeMs what does not end, and says that it may have been written', async () => {
    const { host, log, calls } = createWorld()
    const append = assertRefused('LOG_CLOSED', log.append('orders', [createRecord('orders', 0, 1)]))
    const closed = log.close()
    await host.pass(commonLimits.closeMs)
    assert.match((await append).message, /may have been written/)
    await closed
    assert.deepEqual(calls, ['append', 'abandon', 'close'])
  })
})

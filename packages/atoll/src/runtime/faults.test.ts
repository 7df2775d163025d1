import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import { createVirtualHost } from '../../test/virtual-host.ts'
import { createFaultLogger } from './faults.ts'

describe('a fault that goes on', () => {
  it('is told at growing intervals with how often it came, and soon if it has another cause by then', async () => {
    const host = createVirtualHost()
    const told: [second: number, times: unknown][] = []
    let second = 0
    const faults = createFaultLogger(
      { ...silentLogger, warn: (fields) => void told.push([second, fields['times']]) },
      host,
    )
    for (; second < 100; second++) {
      faults.warn(
        {
          error: new AtollError(
            'UNAVAILABLE',
            second < 35 ? `the store is away, for ${second} s` : 'the password is wrong',
          ),
        },
        'could not',
      )
      await host.advance(1_000)
    }
    assert.deepEqual(told, [
      [0, undefined],
      [10, 10],
      [30, 20],
      [40, 10],
      [50, 10],
      [70, 20],
    ])
  })
})

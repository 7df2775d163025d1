import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import type { Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { Breaker } from './breaker.ts'
import { Fault, type FaultKind } from './fault.ts'
import { defaultClientLimits } from './limits.ts'

const limits = { ...defaultClientLimits, outMsMin: 5, outMsMax: 20 }
const fail = (kind: FaultKind) => (): Promise<never> => Promise.reject(new Fault(kind, `it was ${kind}`))

describe('a breaker', () => {
  it('leaves out at once who refuses, is not there or hangs; who loses calls, after some in a row; who declines one, never', async () => {
    const after = async (...kinds: readonly (FaultKind | 'well')[]): Promise<boolean> => {
      const breaker = new Breaker(createNodeHost(), limits, fail('refused'), () => {})
      for (const kind of kinds)
        await breaker.judge(kind === 'well' ? async () => {} : fail(kind)).catch(() => undefined)
      breaker.close()
      return breaker.isOut
    }
    for (const kind of ['refused', 'unreached', 'hangs'] as const) assert.equal(await after(kind), true, kind)
    assert.equal(await after('lost', 'lost', 'well', 'lost', 'lost'), false)
    assert.equal(await after('lost', 'lost', 'lost'), true)
    assert.equal(await after(...Array.from({ length: 10 }, () => 'declined' as const)), false)
  })

  it('asks who is left out, one question at a time, until it is ready; and tells of each change once', async () => {
    const real = createNodeHost()
    let [waiting, waitingMax, asked, isReady] = [0, 0, 0, false]
    const host: Host = {
      ...real,
      after(delayMs, callback) {
        waitingMax = Math.max(waitingMax, ++waiting)
        return real.after(delayMs, () => (waiting--, callback()))
      },
    }
    const changes: [boolean, string][] = []
    const probe = async (): Promise<void> => {
      asked++
      if (!isReady) throw new Fault('refused', 'not yet')
    }
    const breaker = new Breaker(host, limits, probe, (isOut, why) => void changes.push([isOut, why]))
    await breaker.judge(fail('unreached')).catch(() => undefined)
    await until('it was asked often', () => asked > 5)
    isReady = true
    await until('it is back', () => !breaker.isOut)
    assert.deepEqual(
      [changes, waitingMax],
      [
        [
          [true, 'it was unreached'],
          [false, ''],
        ],
        1,
      ],
    )
    breaker.close()
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHealth } from './health.ts'

const ill = () => ({ ready: false, reasons: ['service shelf: nobody is at db.internal'], brief: ['service shelf: UNAVAILABLE'], warnings: ['log:sync is 2m, and was accepted: set it at nats.internal'] })
const well = () => ({ ready: true, reasons: [], brief: [], warnings: [] })
const secret = 'a secret of the library'

function readyz(readiness: typeof ill | typeof well, authorization?: string, known: string | undefined = secret, own: readonly string[] = []): unknown[] {
  const { status, body } = toHealth('/readyz', authorization, readiness, { own, secret: known })!
  return [status, JSON.parse(body!)]
}

describe('the health of a gateway', () => {
  it('is a matter of yes or no for strangers: neither services nor settings are named', () => {
    for (const authorization of [undefined, '', 'Bearer x', `bearer ${secret}`, secret]) assert.deepEqual(readyz(ill, authorization), [503, { ready: false }])
    assert.deepEqual(readyz(well), [200, { ready: true }])
  })

  it('is told in full to those who know the secret', () => {
    const { reasons, warnings } = ill()
    assert.deepEqual(readyz(ill, `Bearer ${secret}`), [503, { ready: false, reasons, warnings }])
    assert.deepEqual(readyz(well, `Bearer ${secret}`, secret, ['the gateway is draining']), [503, { ready: false, reasons: ['the gateway is draining'] }])
  })

  it('is told in brief where there is no secret, as on the machine of a developer', () => {
    const { status, body } = toHealth('/readyz', undefined, ill, { own: [], secret: undefined })!
    assert.deepEqual([status, JSON.parse(body!)], [503, { ready: false, reasons: ['service shelf: UNAVAILABLE'], warnings: ['log:sync is 2m, and was accepted'] }])
  })
})

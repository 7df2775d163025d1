import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'
import { health } from './health.ts'

const ill = () => ({
  ready: false,
  reasons: ['service shelf: nobody is at db.internal'],
  brief: ['service shelf: UNAVAILABLE'],
  warnings: ['log:sync is 2m, and was accepted: set it at nats.internal'],
})
const well = () => ({ ready: true, reasons: [], brief: [], warnings: [] })
const secret = 'a secret of the library'

interface Asked {
  readonly authorization?: string
  readonly known?: string | undefined
  readonly own?: readonly string[]
}

/** Status and body of `/readyz`; `known` is the secret of the gateway. */
async function readyz(readiness: typeof ill | typeof well, asked: Asked = {}): Promise<unknown[]> {
  const { authorization, known, own = [] } = { known: secret, ...asked }
  const answerTo = health({ readiness, own: () => own, secret: known })(() => Promise.reject(new Error('it went on')))
  const request = {
    method: 'GET',
    url: '/readyz',
    headers: { authorization },
    address: '',
    body: async () => '',
    signal: () => undefined,
  }
  const { status, body } = await answerTo({ request, requestId: 'r', trace: 't' })
  return [status, JSON.parse(body!)]
}

describe('the health of a gateway', () => {
  it('is a matter of yes or no for strangers: neither services nor settings are named', async () => {
    for (const authorization of ['', 'Bearer x', `bearer ${secret}`, secret])
      assert.deepEqual(await readyz(ill, { authorization }), [503, { ready: false }])
    assert.deepEqual(await readyz(ill), [503, { ready: false }])
    assert.deepEqual(await readyz(well), [200, { ready: true }])
  })

  it('is told in full to those who know the secret', async () => {
    const { reasons, warnings } = ill()
    assert.deepEqual(await readyz(ill, { authorization: `Bearer ${secret}` }), [
      503,
      { ready: false, reasons, warnings },
    ])
    assert.deepEqual(await readyz(well, { authorization: `Bearer ${secret}`, own: ['the gateway is draining'] }), [
      503,
      { ready: false, reasons: ['the gateway is draining'] },
    ])
  })

  it('is told in brief where there is no secret, as on the machine of a developer', async () => {
    assert.deepEqual(await readyz(ill, { known: undefined }), [
      503,
      { ready: false, reasons: ['service shelf: UNAVAILABLE'], warnings: ['log:sync is 2m, and was accepted'] },
    ])
  })

  it('says whether it lives, and whether it is ready and why not', () =>
    inSystem(async ({ send, running }) => {
      assert.equal((await send({ method: 'GET', url: '/livez' })).status, 200)
      assert.equal((await send({ method: 'GET', url: '/readyz' })).status, 200)
      await running.services.get('counter')!.stop()
      const { status, json: state } = await send({ method: 'GET', url: '/readyz' })
      assert.deepEqual([status, state['reasons']], [503, ['service counter is stopped']])
    }))

  it('says what weakens the promises, for as long as it is so, ready or not', () =>
    inSystem(
      async ({ send }) => {
        const { status, json: state } = await send({ method: 'GET', url: '/readyz' })
        assert.deepEqual([status, state['warnings']], [200, ['log:log.sync-interval is 2m, and was accepted']])
      },
      {},
      { warnings: ['log:log.sync-interval is 2m, and was accepted: set it to always at nats.internal:8222'] },
    ))
})

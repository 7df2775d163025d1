import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { isTrace, type Dispatch, type Dispatched } from 'atoll/runtime'
import { createGateway } from '../gateway.ts'
import { inSystem } from '../../../test/system.ts'

describe('the gateway', () => {
  it('keeps the id of a request that brings one, if it is sane', () =>
    inSystem(async ({ send }) => {
      const id = async (header: string) =>
        (await send({ method: 'GET', url: '/count', headers: { 'x-request-id': header } })).headers['x-request-id']
      assert.equal(await id('order-17.a'), 'order-17.a')
      assert.notEqual(await id('two words'), 'two words')
      assert.notEqual(await id('x'.repeat(65)), 'x'.repeat(65))
    }))

  it('goes on with the trace of a request that brings one, and begins one for each that does not, or brings nonsense', async () => {
    const asked: (string | undefined)[] = []
    await inSystem(async ({ running }) => {
      const served = {
        system: running.system,
        readiness: () => running.readiness(),
        dispatch: async (_: string, { trace }: Dispatch): Promise<Dispatched> => (
          asked.push(trace),
          { output: { count: 0 }, outcome: 'done', position: {} }
        ),
      }
      const gateway = createGateway(served, { host: createNodeHost(), logger: silentLogger })
      const ask = (traceparent: string) =>
        gateway.handle({
          method: 'GET',
          url: '/count',
          headers: { traceparent },
          address: '127.0.0.1',
          body: async () => '',
          signal: () => undefined,
        })
      await ask(sane)
      await ask('00-nonsense')
      await ask('00-nonsense')
    })
    assert.equal(asked[0], sane)
    assert.ok(asked.every((trace) => trace !== undefined && isTrace(trace)))
    assert.equal(new Set(asked).size, 3)
  })
})

const sane = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

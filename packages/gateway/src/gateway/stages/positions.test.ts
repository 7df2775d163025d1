import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { command, contract, query, service, system } from 'atoll'
import type { Dispatch, Dispatched, Position } from 'atoll/runtime'
import { z } from 'zod'
import { inSystem } from '../../../test/system.ts'
import { createGateway } from '../gateway.ts'
import type { GatewayLimits } from '../options.ts'

const Empty = z.object({})
const desk = contract('desk', {
  write: command({ http: 'POST /notes', auth: 'optional', input: Empty, output: z.void() }),
  read: query({ http: 'GET /notes', auth: 'optional', input: Empty, output: z.void() }),
})

const json = { 'content-type': 'application/json' }

describe('the gateway', () => {
  it('lets whoever wrote read it at once: by address, by caller, and by the position in the header', () =>
    inSystem(async ({ send, slow }) => {
      const post = (address: string, authorization?: string) =>
        send({
          method: 'POST',
          url: '/notes',
          headers: { ...json, ...(authorization ? { authorization } : {}) },
          body: '{"text":"x"}',
          address,
        })
      const count = async (address: string, headers: Record<string, string> = {}) =>
        (await send({ method: 'GET', url: '/count', headers, address })).json['count']
      await slow(async (release) => {
        const { headers } = await post('10.0.0.1')
        assert.equal(await count('10.0.0.9'), 0, 'somebody else is not kept waiting')
        const waiting = [count('10.0.0.1'), count('10.0.0.9', { 'atoll-position': headers['atoll-position']! })]
        release()
        assert.deepEqual(await Promise.all(waiting), [1, 1])
      })
    }))

  it('tells clients behind a proxy that it trusts apart by the address that the proxy added', () =>
    inSystem(
      async ({ send, slow }) => {
        const through = (forwarded: string) => ({
          address: '10.0.0.1',
          headers: { ...json, 'x-forwarded-for': forwarded },
        })
        const count = async (forwarded: string) =>
          (await send({ method: 'GET', url: '/count', ...through(forwarded) })).json['count']
        await slow(async (release) => {
          await send({ method: 'POST', url: '/notes', body: '{"text":"x"}', ...through('203.0.113.7') })
          assert.equal(await count('203.0.113.7, 203.0.113.8'), 0, 'what a client claims itself does not count')
          const waiting = count('198.51.100.1, 203.0.113.7')
          release()
          assert.equal(await waiting, 1)
        })
      },
      { trustProxy: true },
    ))

  it('goes by the address of the connection unless it is told of a proxy', () =>
    inSystem(async ({ send, slow }) => {
      const from = (address: string, forwarded: string) => ({
        address,
        headers: { ...json, 'x-forwarded-for': forwarded },
      })
      const count = async (address: string, forwarded: string) =>
        (await send({ method: 'GET', url: '/count', ...from(address, forwarded) })).json['count']
      await slow(async (release) => {
        await send({ method: 'POST', url: '/notes', body: '{"text":"x"}', ...from('10.0.0.1', '203.0.113.7') })
        assert.equal(await count('10.0.0.2', '203.0.113.7'), 0, 'a claim changes nothing')
        const waiting = count('10.0.0.1', '203.0.113.8')
        release()
        assert.equal(await waiting, 1)
      })
    }))
})

describe('the gateway, of what is written at an address by somebody who is not its caller,', () => {
  it('has a request wait no longer than addressWaitMs, and for what its caller wrote as long as for any', async () => {
    const { ask, clock } = front({ addressWaitMs: 300 })
    clock.ms = 1_000
    await ask('POST', '10.0.0.1', 'ann', { position: position('7') })
    const { position: own, maybeSeen: near } = await ask('GET', '10.0.0.1', 'ann')
    assert.deepEqual([own, near], [position('7'), { position: position('7'), untilMs: 1_300 }])
    const { position: hers, maybeSeen } = await ask('GET', '10.0.0.1', 'ben')
    assert.deepEqual([hers, maybeSeen], [undefined, { position: position('7'), untilMs: 1_300 }])
    assert.deepEqual((await ask('GET', '10.0.0.2', 'ann')).maybeSeen, undefined)
  })

  it('has nobody wait for a while when that was in vain, twice as long each time that it is so again soon; each still waits for their own', async () => {
    const { ask, clock } = front({ positionAgeMsMax: 60_000 })
    let order = 0
    const whileMs = async (): Promise<number> => {
      const fromMs = clock.ms
      for (;;) {
        await ask('POST', '10.0.0.1', 'ann', { position: position(String(++order)) })
        if ((await ask('GET', '10.0.0.1', 'ben')).maybeSeen) return clock.ms - fromMs
        assert.equal(latestOf((await ask('GET', '10.0.0.1', 'ann')).position), String(order))
        clock.ms += STEP_MS
      }
    }
    assert.equal(await whileMs(), 0)
    const inVain = async (): Promise<number> => {
      // three who waited for the same
      for (let each = 0; each < 3; each++) await ask('GET', '10.0.0.1', 'ben', { missed: true })
      return whileMs()
    }
    const whiles: number[] = []
    for (let times = 0; times < 9; times++) whiles.push(await inVain())
    assert.deepEqual(whiles, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000].map(inSteps))
    clock.ms += 120_000
    await whileMs()
    assert.equal(await inVain(), inSteps(1_000), 'long ago')
  })

  it('forgets no caller for it, from however many addresses it comes', async () => {
    const { ask } = front({ positionsMax: 10 })
    await ask('POST', '10.0.0.1', 'ann', { position: position('7') })
    for (let address = 0; address < 100; address++)
      await ask('POST', `10.0.1.${address}`, undefined, { position: position('8') })
    assert.deepEqual((await ask('GET', '10.0.0.1', 'ann')).position, position('7'))
  })
})

/** How far it is between two looks of a client; no while is a multiple of it. */
const STEP_MS = 301
const inSteps = (ms: number): number => Math.ceil(ms / STEP_MS) * STEP_MS
const latestOf = (position: Position | undefined): string | undefined => position?.['desk']?.[3]?.split('-')[0]
const position = (orders: string): Position => ({ desk: { 3: orders } })

/** A gateway before a system whose answers tests make up, and what it asks that system. */
function front(limits: Partial<GatewayLimits>) {
  const clock = { ms: 0 }
  let asked: Dispatch = { input: undefined }
  let next: Partial<Dispatched> = {}
  const gateway = createGateway(
    {
      system: system('desks', { services: [service(desk, { handlers: { write: () => {}, read: () => {} } })] }),
      readiness: () => ({ ready: true, reasons: [], brief: [], warnings: [] }),
      dispatch: async (_, request) => (
        (asked = request),
        { output: undefined, outcome: 'done', position: {}, ...next }
      ),
    },
    {
      host: { ...createNodeHost(), monotonicMs: () => clock.ms },
      logger: silentLogger,
      authenticate: async (token) => ({ id: token, claims: {} }),
      limits,
    },
  )
  return {
    clock,
    /** Sends a request that is answered so; resolves with what the system was asked. */
    async ask(
      method: string,
      address: string,
      caller: string | undefined,
      answer: Partial<Dispatched> = {},
    ): Promise<Dispatch> {
      next = answer
      const headers: Record<string, string> = caller === undefined ? {} : { authorization: `Bearer ${caller}` }
      const { status } = await gateway.handle({
        method,
        url: '/notes',
        headers,
        address,
        body: async () => '',
        signal: () => undefined,
      })
      assert.equal(status, 204)
      return asked
    },
  }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, errorCodes, silentLogger, type ErrorCode, type LogFields } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { contract, query, type ErrorShape } from 'atoll'
import { z } from 'zod'
import { watchStrays } from '../../../test/strays.ts'
import { inSystem } from '../../../test/system.ts'
import { createGateway } from '../gateway.ts'
import { FailureLog } from './failure-log.ts'
import { toResponse } from './problem.ts'
import { contractErrors } from './problems.ts'
import type { Routed } from './route.ts'

describe('the gateway, of what goes wrong,', () => {
  it('says nothing of what went wrong inside, and logs it under the id of the request', () =>
    inSystem(async ({ send, logged }) => {
      const { status, json: problem, headers } = await send({ method: 'GET', url: '/broken' })
      assert.deepEqual([status, problem['code']], [500, 'INTERNAL'])
      assert.ok(!JSON.stringify(problem).includes('secret detail'))
      const line = logged.find(({ fields }) => fields['requestId'] === headers['x-request-id'])
      assert.match(String((line?.fields['error'] as Error).message), /secret detail/)
    }))

  it('tells of its own bad days by code and id alone, in answers and in readiness: whoever asks hears no address, database or user', () =>
    inSystem(async ({ running }) => {
      const logged: LogFields[] = []
      const secret = 'PostgreSQL at db.internal:5432/shop: password authentication failed for user "shop"'
      const codes = Object.keys(errorCodes).filter(
        (code) => new AtollError(code as ErrorCode, secret).status >= 500,
      ) as ErrorCode[] // keys of the table
      assert.ok(codes.includes('UNAVAILABLE') && codes.includes('STORE_CORRUPT'))
      for (const code of codes) {
        const error = new AtollError(code, secret, {
          cause: new Error(secret),
          details: { fields: { host: [secret] }, host: secret },
        })
        const readiness = {
          ready: false,
          reasons: [`notes cannot go on: ${error.message}`],
          brief: [`notes cannot go on: ${code}`],
          warnings: [],
        }
        const served = { system: running.system, dispatch: () => Promise.reject(error), readiness: () => readiness }
        const gateway = createGateway(served, {
          host: createNodeHost(),
          logger: { ...silentLogger, error: (fields) => void logged.push(fields) },
        })
        const ask = async (url: string) =>
          gateway.handle({
            method: 'GET',
            url,
            headers: {},
            address: '127.0.0.1',
            body: async () => '',
            signal: () => undefined,
          })
        const worded = toResponse(error, 'id', ({ status, reason, details }) => ({ status, body: { reason, details } }))
        const answered = await ask('/count')
        for (const { status, body } of [worded, answered, await ask('/readyz')]) {
          assert.ok(status >= 500 && !/db\.internal|shop|:5432|password/.test(body!), `${code}: ${body}`)
        }
        const { body, headers } = answered
        const problem = JSON.parse(body!) as Record<string, unknown>
        const isForCallers = 'status' in errorCodes[code]
        assert.deepEqual(
          [problem['code'], problem['title'], problem['requestId']],
          [
            isForCallers ? code : 'INTERNAL',
            errorCodes[isForCallers ? code : 'INTERNAL'].meaning,
            headers['x-request-id'],
          ],
        )
        const line = logged.find((fields) => fields['requestId'] === headers['x-request-id'])
        assert.match((line!['error'] as Error).message, /db\.internal/)
      }
    }))

  it('writes no line about each of many refusals: one a second, which says how many there were', () =>
    inSystem(async ({ running }) => {
      const logged: LogFields[] = []
      let nowMs = 0
      const served = {
        system: running.system,
        dispatch: () => Promise.reject(new AtollError('OVERLOADED', 'the queue is full')),
        readiness: () => running.readiness(),
      }
      const gateway = createGateway(served, {
        host: { ...createNodeHost(), monotonicMs: () => nowMs },
        logger: { ...silentLogger, error: (fields) => void logged.push(fields) },
      })
      const ask = async (): Promise<number> =>
        (
          await gateway.handle({
            method: 'GET',
            url: '/count',
            headers: {},
            address: '127.0.0.1',
            body: async () => '',
            signal: () => undefined,
          })
        ).status
      for (let number = 0; number < 100; number++) assert.equal(await ask(), 503)
      nowMs += 1_000
      await ask()
      assert.deepEqual(
        logged.map(({ refused }) => refused),
        [1, 100],
      )
    }))

  it('tells whether what could not be answered had an effect, where that is known', () =>
    inSystem(async ({ running }) => {
      for (const [effect, words] of [
        ['none', /it had no effect/],
        ['unknown', /not known, and it was not sent again: use an Idempotency-Key/],
      ] as const) {
        const served = {
          system: running.system,
          readiness: () => running.readiness(),
          dispatch: () =>
            Promise.reject(new AtollError('UNAVAILABLE', 'notes-1 at 10.0.0.7 was lost', { details: { effect } })),
        }
        const gateway = createGateway(served, { host: createNodeHost(), logger: silentLogger })
        const { body } = await gateway.handle({
          method: 'GET',
          url: '/count',
          headers: {},
          address: '127.0.0.1',
          body: async () => '',
          signal: () => undefined,
        })
        const problem = JSON.parse(body!) as Record<string, unknown>
        assert.equal(problem['effect'], effect)
        assert.match(String(problem['detail']), words)
      }
    }))

  it('words errors as their contract does', () =>
    inSystem(async ({ send }) => {
      const { status, json: body } = await send({ method: 'GET', url: '/shaped' })
      assert.deepEqual([status, body], [404, { errors: ['NOT_FOUND'] }])
    }))

  const unworded = [
    /lost for words/,
    /status 42;/,
    /BigInt/,
    /status 204, which/,
    /status 205, which/,
    /status 304, which/,
    /status undefined/,
  ]
  it('words errors in the standard way when their contract cannot, and logs why', () =>
    inSystem(async ({ send, logged }) => {
      for (const [number, why] of unworded.entries()) {
        const url = `/unworded/${number}`
        const { status, json: problem, headers } = await send({ method: 'GET', url })
        assert.deepEqual(
          [status, problem['code'], headers['content-type']],
          [404, 'NOT_FOUND', 'application/problem+json; charset=utf-8'],
          url,
        )
        const line = logged.find(({ fields }) => fields['requestId'] === headers['x-request-id'])
        assert.match(String((line?.fields['error'] as Error).message), why)
      }
      const { status, json: problem } = await send({ method: 'GET', url: '/unsayable' })
      assert.deepEqual([status, problem['code']], [500, 'INTERNAL'])
    }))

  it('tells of a rejection that the words of a contract leave and nobody awaits, and answers in those words', async () => {
    const watch = watchStrays()
    const told: LogFields[] = []
    const ask = contractErrors(new FailureLog(createNodeHost(), silentLogger), {
      attribution: watch.attribution,
      logger: { ...silentLogger, error: (fields) => void told.push(fields) },
    })(() => Promise.reject(new AtollError('NOT_FOUND', 'no')))
    const shop = contract('shop', {
      get: query({ http: 'GET /', auth: 'none', input: z.object({}), output: z.object({}) }),
    })
    const errors: ErrorShape = ({ code }) => (watch.stray('left'), { status: 404, body: { code } })
    const { status, body } = await ask({
      requestId: '1',
      target: { operation: shop.get, errors, numbers: [] },
    } as unknown as Routed) // that is what it looks at
    assert.deepEqual(
      [status, body, told.map(({ handling }) => handling)],
      [404, '{"code":"NOT_FOUND"}', ['the errors of shop']],
    )
  })
})

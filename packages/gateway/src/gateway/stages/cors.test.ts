import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { inSystem } from '../../../test/system.ts'
import { createGateway } from '../gateway.ts'

describe('the gateway', () => {
  it('lets a page read errors as it reads answers', () =>
    inSystem(async ({ send }) => {
      for (const [url, status] of [
        ['/nowhere', 404],
        ['/broken', 500],
        ['/me', 401],
        ['/page', 200],
      ] as const) {
        const { status: answered, headers } = await send({
          method: 'GET',
          url,
          headers: { origin: 'https://page.example' },
        })
        assert.deepEqual([answered, headers['access-control-allow-origin']], [status, '*'], url)
      }
    }))

  it('tells caches that an answer depends on the page that asks, also where none did', () =>
    inSystem(async ({ running }) => {
      const gateway = createGateway(running, {
        host: createNodeHost(),
        logger: silentLogger,
        cors: { origins: ['https://page.example'] },
      })
      const vary = async (headers: Record<string, string>) =>
        (
          await gateway.handle({
            method: 'GET',
            url: '/page',
            headers,
            address: '127.0.0.1',
            body: async () => '',
            signal: () => undefined,
          })
        ).headers['vary']
      assert.deepEqual(
        [
          await vary({}),
          await vary({ origin: 'https://page.example' }),
          await vary({ origin: 'https://other.example' }),
        ],
        Array(3).fill('authorization, origin'),
      )
    }))
})

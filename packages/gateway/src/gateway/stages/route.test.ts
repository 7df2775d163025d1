import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

describe('the route of a request', () => {
  it('says which methods a path has, to those who ask and to those who err', () =>
    inSystem(async ({ send }) => {
      assert.equal((await send({ method: 'DELETE', url: '/notes' })).headers['allow'], 'POST')
      assert.equal((await send({ method: 'POST', url: '/notes/1' })).headers['allow'], 'GET, HEAD')
      const preflight = await send({ method: 'OPTIONS', url: '/notes', headers: { origin: 'https://page.example' } })
      assert.deepEqual(
        [
          preflight.status,
          preflight.headers['access-control-allow-origin'],
          preflight.headers['access-control-allow-methods'],
        ],
        [204, '*', 'POST, OPTIONS'],
      )
    }))

  it('takes a request target with scheme and host, as to a proxy', () =>
    inSystem(async ({ send }) => {
      const status = async (url: string) => (await send({ method: 'GET', url })).status
      const urls = [
        'http://here/count',
        'HTTPS://here:443/count?a=b',
        'http://here/livez',
        '/livez?from=balancer',
        '/readyz?',
        'http://here',
        'http://here?a=/count',
        'here:80',
        'count',
      ]
      assert.deepEqual(await Promise.all(urls.map(status)), [200, 200, 200, 200, 200, 404, 404, 400, 400])
    }))
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { start } from '@atoll/cli'
import conduit, { gateway } from 'conduit/src/system.ts'
import { readCollection, runSuite } from './suite.ts'

describe("RealWorld's own suite of its API", () => {
  it('passes on Conduit in one process, also a second time on the same data', async () => {
    const data = await mkdtemp(join(tmpdir(), 'atoll-realworld-'))
    const started = await start({ ...conduit, seed: undefined }, { data, port: 0, gateway })
    try {
      for (const user of ['first', 'second']) {
        const { requests, assertions, failures } = await runSuite(`${started.url}/api`, user)
        assert.deepEqual(failures, [])
        assert.equal(requests, 32)
        assert.ok(assertions > 250, `only ${assertions} assertions`)
      }
    } finally {
      await started.stop()
      await rm(data, { recursive: true })
    }
  })

  it('says what does not hold, and where', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/tags' ? 500 : 200
      // without an image
      response.end('{"user":{"email":"a","username":"b","bio":null,"token":"c"},"articles":[],"articlesCount":0}')
    }).listen(0)
    await once(server, 'listening')
    try {
      // it listens on a port
      const { failures } = await runSuite(`http://localhost:${(server.address() as AddressInfo).port}`, 'somebody')
      assert.ok(failures.includes('Auth / Register (POST {{APIURL}}/users): User has "image" property'))
      assert.ok(failures.some((failure) => failure.startsWith('Tags / All Tags (GET {{APIURL}}/tags): answered 500')))
    } finally {
      server.close()
    }
  })

  it('fails where nobody answers', async () => {
    const { requests, failures } = await runSuite('http://localhost:1', 'somebody')
    assert.equal(failures.length, requests)
  })

  it('asks nothing of Postman that is not there', () => {
    const text = JSON.stringify(readCollection())
    const names = new Set([...text.matchAll(/\bpm\.(\w+)\.(\w+)/g)].map(([, object, method]) => `${object}.${method}`))
    assert.deepEqual([...names].sort(), ['globals.get', 'globals.set'])
    assert.ok(
      !/postman\.set|"listen":"prerequest","script":\{[^}]*"exec":\["[^"]/.test(text),
      'a script that would run before a request',
    )
  })
})

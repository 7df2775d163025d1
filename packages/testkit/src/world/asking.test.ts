import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail, stock } from '../../test/shop.ts'
import { world } from './world.ts'

describe('a call', () => {
  it('answers with the output of its operation', async () => {
    await using shop = await world(createShop())
    assert.deepEqual(await shop.call(desk.place, { id: 'o1', sku: 'lamp' }), { id: 'o1' })
    assert.deepEqual(await shop.call(desk.get, { id: 'o1' }), { id: 'o1', sku: 'lamp', buyer: 'nobody' })
  })

  it('is asked on behalf of whom the test says', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' }, { as: 'ada' })
    assert.deepEqual(await shop.call(desk.own, {}, { as: 'ada' }), ['o1'])
    assert.deepEqual(await shop.call(desk.own, {}, { as: 'bob' }), [])
    await assert.rejects(shop.call(desk.own, {}), { code: 'UNAUTHENTICATED' })
  })

  it('reads what its caller has written, in whichever service, without waiting for quiet', async () => {
    for (let seed = 0; seed < 10; seed++) {
      await using shop = await world(createShop(), { seed })
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' }, { as: 'ada' })
      assert.deepEqual(await shop.call(stock.boxes, {}, { as: 'ada' }), ['o1'])
      await shop.call(desk.place, { id: 'o2', sku: 'tea' })
      assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1, tea: 1 })
    }
  })

  it('rejects with the error of the operation', async () => {
    await using shop = await world(createShop())
    await assert.rejects(shop.call(desk.get, { id: 'none' }), { code: 'NOT_FOUND' })
    // @ts-expect-error the input has an id
    await assert.rejects(shop.call(desk.get, {}), {
      code: 'INVALID',
      details: { fields: { id: ['Invalid input: expected string, received undefined'] } },
    })
  })

  it('of a service that is down is refused, and those of others are not', async () => {
    await using shop = await world(createShop())
    shop.crash('stock')
    await assert.rejects(shop.call(stock.boxes, {}), { code: 'UNAVAILABLE', message: /no instance of stock is up/ })
    assert.deepEqual(await shop.call(mail.letters, {}), [])
  })

  it('that its instance does not survive is told so', async () => {
    await using shop = await world(createShop())
    shop.inject('desk', 'commit', { crash: 'before' })
    await assert.rejects(shop.call(desk.place, { id: 'o1', sku: 'lamp' }), {
      code: 'UNAVAILABLE',
      message: /desk-\d is gone. Whether it had an effect is not known/,
    })
  })

  it('of an instance that does not move fails when its time is over', async () => {
    await using shop = await world(createShop())
    shop.pause('desk')
    await assert.rejects(shop.call(desk.now, {}), { code: 'DEADLINE_EXCEEDED' })
    assert.ok(shop.clock.elapsedMs >= 10_000)
  })

  it('that waits for something outside of the world fails, and does not hang', async () => {
    await using shop = await world(createShop({ asked: () => new Promise(() => {}) }))
    await assert.rejects(shop.call(desk.now, {}), { code: 'DEADLINE_EXCEEDED' })
  })

  it('may be one of many at a time', async () => {
    await using shop = await world(createShop())
    await Promise.all(Array.from({ length: 50 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'tea' })))
    await shop.quiet()
    assert.equal((await shop.call(stock.boxes, {})).length, 50)
  })
})

describe('a request', () => {
  it('goes through the gateway: routes, statuses, bodies, headers', async () => {
    await using shop = await world(createShop())
    const created = await shop.request('POST', '/orders', {
      body: { id: 'o1', sku: 'lamp' },
      headers: { 'x-request-id': 'r1' },
    })
    assert.deepEqual([created.status, created.body, created.headers['x-request-id']], [201, { id: 'o1' }, 'r1'])
    assert.deepEqual((await shop.request('GET', '/orders/o1')).body, { id: 'o1', sku: 'lamp', buyer: 'nobody' })
    const reminded = await shop.request('POST', '/reminders', { body: { id: 'o1', afterMs: 1 } })
    assert.deepEqual([reminded.status, reminded.body], [204, undefined])
  })

  it('answers problems as the gateway words them', async () => {
    await using shop = await world(createShop())
    const problemOf = async (...args: Parameters<typeof shop.request>) => {
      const { status, headers, body } = await shop.request(...args)
      assert.match(headers['content-type']!, /^application\/problem\+json/)
      return [status, (body as { code: string }).code] // as RFC 9457 and the gateway have it
    }
    assert.deepEqual(await problemOf('GET', '/orders/none'), [404, 'NOT_FOUND'])
    assert.deepEqual(await problemOf('GET', '/nothing'), [404, 'NOT_FOUND'])
    assert.deepEqual(await problemOf('DELETE', '/orders/o1'), [405, 'METHOD_NOT_ALLOWED'])
    assert.deepEqual(await problemOf('POST', '/orders', { body: { id: 'o1' } }), [422, 'INVALID'])
    assert.deepEqual(await problemOf('GET', '/orders'), [401, 'UNAUTHENTICATED'])
    await shop.stop('desk')
    assert.deepEqual(await problemOf('GET', '/orders/o1'), [503, 'UNAVAILABLE'])
  })

  it('takes its token for the id of its user', async () => {
    await using shop = await world(createShop())
    await shop.request('POST', '/orders', { as: 'ada', body: { id: 'o1', sku: 'lamp' } })
    assert.deepEqual((await shop.request('GET', '/orders', { as: 'ada' })).body, ['o1'])
    assert.deepEqual((await shop.request('GET', '/orders', { as: 'bob' })).body, [])
  })

  it('is authenticated as the test’s own gateway says, which may ask the system', async () => {
    await using shop = await world(createShop(), {
      gateway: (served) => ({
        basePath: '/api',
        authenticate: async (token) => {
          const { output } = await served.dispatch('desk.get', { input: { id: token } })
          return { id: (output as { buyer: string }).buyer, claims: {} } // what desk.get answers
        },
      }),
    })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' }, { as: 'ada' })
    assert.deepEqual((await shop.request('GET', '/api/orders', { as: 'o1' })).body, ['o1'])
    assert.equal((await shop.request('GET', '/api/orders', { as: 'none' })).status, 401)
  })

  it('reads what its caller has written: by token, or by where it comes from', async () => {
    for (let seed = 0; seed < 10; seed++) {
      await using shop = await world(createShop(), { seed })
      await shop.request('POST', '/orders', { as: 'ada', address: 'here', body: { id: 'o1', sku: 'lamp' } })
      assert.deepEqual((await shop.request('GET', '/boxes', { address: 'here' })).body, ['o1'])
      await shop.request('POST', '/orders', { as: 'ada', body: { id: 'o2', sku: 'tea' } })
      assert.deepEqual((await shop.request('GET', '/boxes')).body, ['o1', 'o2'])
    }
  })

  it('waits for what its caller has seen, in vain if it cannot come; for what is known by address alone it waits shortly', async () => {
    await using shop = await world(createShop({ packing: () => Promise.reject(new Error('no tape')) }))
    const { headers } = await shop.request('POST', '/orders', { body: { id: 'o1', sku: 'lamp' } })
    const boxes = await shop.request('GET', '/boxes', { headers: { 'atoll-position': headers['atoll-position']! } })
    assert.deepEqual(
      [boxes.status, (boxes.body as { code: string }).code, boxes.headers['retry-after']],
      [503, 'BEHIND', '1'],
    ) // a problem has a code
    for (const address of [undefined, 'elsewhere'])
      assert.deepEqual((await shop.request('GET', '/boxes', { address })).body, [])
  })

  it('is told whether the system is ready', async () => {
    await using shop = await world(createShop())
    assert.equal((await shop.request('GET', '/readyz')).status, 200)
    shop.crash('mail')
    assert.deepEqual((await shop.request('GET', '/readyz')).body, { ready: false, reasons: ['service mail is down'] })
  })
})

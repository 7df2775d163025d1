import assert from 'node:assert/strict'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, openItems } from './items.ts'

export const life: StoreChapter = {
  name: 'life of a store',
  tests: [
    {
      id: 'life.exists',
      promise: 'a store exists from its opening on, and no other does',
      async run(driver) {
        assert.equal(await driver.exists('orders'), false)
        await openItems(driver)
        assert.equal(await driver.exists('orders'), true)
        assert.equal(await driver.exists('stock'), false)
      },
    },
    {
      id: 'life.kept',
      promise: 'a store that was closed exists, and has what was written when it is opened again',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        await store.close()
        assert.equal(await driver.exists('orders'), true)
        await assertIds((await openItems(driver)).reader, ['a'])
      },
    },
    {
      id: 'life.removed',
      promise: 'a store that was removed is gone, and opens empty, with its migrations applied anew',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        await store.close()
        await driver.remove('orders')
        assert.equal(await driver.exists('orders'), false)
        await assertIds((await openItems(driver)).reader, [])
      },
    },
    {
      id: 'life.removes-one',
      promise: 'removing a store leaves the others as they are, also those whose name begins alike',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        for (const name of ['orders', 'orders-2', 'order']) {
          const store = await openItems(driver, name)
          await store.write((tx) => insert(tx, name))
          await store.close()
        }
        await driver.remove('orders')
        for (const name of ['orders-2', 'order']) await assertIds((await openItems(driver, name)).reader, [name])
      },
    },
    {
      id: 'life.removes-nothing',
      promise: 'removing what is not there does nothing',
      async run(driver) {
        await driver.remove('orders')
        assert.equal(await driver.exists('orders'), false)
      },
    },
    {
      id: 'life.in-use',
      promise: 'a store that is open is neither opened again nor removed: both are refused with DATA_IN_USE',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        await assertRefused('DATA_IN_USE', openItems(driver))
        await assertRefused('DATA_IN_USE', driver.remove('orders'))
        await assertIds(store.reader, ['a'])
      },
    },
    {
      id: 'life.apart',
      promise: 'stores have nothing in common',
      async run(driver) {
        const [orders, stock] = [await openItems(driver, 'orders'), await openItems(driver, 'stock')]
        await Promise.all([orders.write((tx) => insert(tx, 'a')), stock.write((tx) => insert(tx, 'b'))])
        await assertIds(orders.reader, ['a'])
        await assertIds(stock.reader, ['b'])
      },
    },
  ],
}

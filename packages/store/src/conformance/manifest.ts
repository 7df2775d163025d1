import assert from 'node:assert/strict'
import type { StoreChapter } from './harness.ts'

export const manifest: StoreChapter = {
  name: 'manifest',
  tests: [
    {
      id: 'manifest.true',
      promise: 'a driver declares the capabilities that its harness names, for the tests are chosen by them',
      async run(driver, { capabilities }) {
        assert.deepEqual({ ...driver.capabilities }, { ...capabilities })
      },
    },
    {
      id: 'manifest.sound',
      promise: 'what is durable is also persistent, and there is a largest number of waiting transactions',
      async run({ capabilities }) {
        assert.ok(
          !capabilities.canBeDurable || capabilities.persistent,
          'a store that is gone when it is closed is not durable',
        )
        assert.ok(
          Number.isSafeInteger(capabilities.writesQueuedMax) && capabilities.writesQueuedMax > 0,
          'writesQueuedMax must be a number of transactions',
        )
      },
    },
  ],
}

import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'

export const manifest: LogChapter = {
  name: 'manifest',
  tests: [
    {
      id: 'manifest.true',
      promise: 'a log declares the capabilities that its harness names, for the tests are chosen by them',
      async run({ log }, { capabilities }) {
        assert.deepEqual({ ...log.capabilities }, { ...capabilities })
      },
    },
    {
      id: 'manifest.sound',
      promise: 'what is durable is also persistent, and there is a largest size of data',
      async run({ log: { capabilities } }) {
        assert.ok(
          !capabilities.canBeDurable || capabilities.persistent,
          'a log that is gone when it is closed is not durable',
        )
        assert.ok(
          Number.isSafeInteger(capabilities.dataBytesMax) && capabilities.dataBytesMax > 0,
          'dataBytesMax must be a number of bytes',
        )
      },
    },
  ],
}

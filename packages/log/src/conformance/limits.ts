import assert from 'node:assert/strict'
import type { LogChapter } from './harness.ts'
import { assertNumbers, assertRefused, createRecord, readAll, readNumbers } from './records.ts'

export const limits: LogChapter = {
  name: 'limits',
  tests: [
    {
      id: 'limits.largest',
      promise: 'data of exactly dataBytesMax bytes is taken and comes back',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const data = jsonOfBytes('x', dataBytesMax)
        await log.append('orders', [createRecord('orders', 0, 1, { data })])
        const [found] = await readAll(log, 'orders', 0)
        assert.ok(found?.data === data, 'the largest data came back changed')
      },
    },
    {
      id: 'limits.too-large',
      promise: 'data of one byte more is refused with BODY_TOO_LARGE, and nothing of its append is written',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const tooLarge = createRecord('orders', 0, 2, { data: jsonOfBytes('x', dataBytesMax + 1) })
        await assertRefused(
          'BODY_TOO_LARGE',
          log.append('orders', [createRecord('orders', 0, 1), createRecord('orders', 1, 1), tooLarge]),
        )
        assertNumbers(await readNumbers(log, 'orders', 0), [])
        assertNumbers(await readNumbers(log, 'orders', 1), [])
      },
    },
    {
      id: 'limits.bytes',
      promise: 'the size of data is counted in bytes of UTF-8, not in characters',
      async run({ log }, { capabilities: { dataBytesMax } }) {
        const data = jsonOfBytes('é', dataBytesMax + 2)
        assert.ok(data.length <= dataBytesMax)
        await assertRefused('BODY_TOO_LARGE', log.append('orders', [createRecord('orders', 0, 1, { data })]))
      },
    },
  ],
}

/** A JSON string of that many bytes, two of them the quotes, made of `character`. */
function jsonOfBytes(character: string, bytes: number): string {
  const size = Buffer.byteLength(character)
  const rest = (bytes - 2) % size
  return `"${'x'.repeat(rest)}${character.repeat((bytes - 2 - rest) / size)}"`
}

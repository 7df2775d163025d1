import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { openWriter, toNodes } from './client.ts'

describe('a connection to RabbitMQ', () => {
  it('ends in good order, with all that was sent on it, also when its log ends at the same moment', async () => {
    const closing = new AbortController()
    const opening = openWriter({
      nodes: toNodes(engineUrl('rabbitmq')),
      name: 'test',
      connectMs: 10_000,
      host: createNodeHost(),
    })
    const writer = await opening.open(() => {}, closing.signal)
    const closed = once(writer.model, 'close')
    closing.abort() // gives up what has not been opened yet
    opening.end(writer, true)
    assert.deepEqual(await closed, [undefined], 'it was cut')
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { openWriter, toNodes } from './client.ts'

describe('the url of a log on RabbitMQ', () => {
  it('names one node, or several of a cluster, with what they have in common', () => {
    const taken = (url: string): string[] => toNodes(url).map((node) => `${node.address} ${node.url}`)
    assert.deepEqual(taken('amqp://one'), ['one:5672 amqp://one'])
    assert.deepEqual(taken('rabbitmqs://shop:a%2Cb@one:7/v?heartbeat=5'), [
      'one:7 amqps://shop:a%2Cb@one:7/v?heartbeat=5',
    ])
    assert.deepEqual(taken('amqps://shop:a,b@one,[::1]:7,three/v'), [
      'one:5671 amqps://shop:a,b@one/v',
      '[::1]:7 amqps://shop:a,b@[::1]:7/v',
      'three:5671 amqps://shop:a,b@three/v',
    ])
    for (const url of ['amqp://', 'amqp://one,', 'amqp://one,,two', 'http://one', 'amqp:one', 'amqp://one:x']) {
      assert.throws(
        () => toNodes(url),
        (error) => error instanceof AtollError && error.code === 'INVALID' && !error.message.includes('one:x'),
      )
    }
  })

  it('is tried node by node', async () => {
    const opening = openWriter({
      nodes: toNodes('amqp://127.0.0.1:1,127.0.0.1:2'),
      name: 'test',
      connectMs: 1_000,
      host: createNodeHost(),
    })
    for (const port of [1, 2, 1])
      await assert.rejects(
        opening.open(() => {}, new AbortController().signal),
        new RegExp(`127.0.0.1:${port}$`),
      )
    assert.equal(opening.engine, 'RabbitMQ at 127.0.0.1:1, 127.0.0.1:2')
  })
})

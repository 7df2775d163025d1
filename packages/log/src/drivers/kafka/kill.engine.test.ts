import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startEngine, type RunningEngine } from '@atoll/engines'
import { eventually, inKafkaWorld } from '../../../test/kafka/world.ts'
import { startRelay } from '../../../test/relay.ts'
import { assertNumbers, numbersTo, readNumbers } from '../../conformance/records.ts'

describe('the Kafka log, when the broker is killed', () => {
  let broker: RunningEngine
  let folder: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atoll-kafka-'))
    broker = await startEngine('kafka', { folder })
  })

  after(async () => {
    await broker.kill()
    rmSync(folder, { recursive: true })
  })

  it('has every record whose append resolved, each once, and goes on by itself when the broker is back', () =>
    inKafkaWorld(broker.url, async (world) => {
      const log = await world.open({ limits: { callMs: 2_000 } })
      const relay = startRelay(log, 'orders', 0)
      await eventually('some appends', () => relay.acknowledged > 50)
      await broker.kill()
      await eventually('a refusal', () => relay.refusals > 0)
      const acknowledged = relay.acknowledged
      await broker.restart()
      await eventually('appends again', () => relay.acknowledged > acknowledged + 50, 60_000)
      await relay.stop()
      for (const reader of [log, await world.open()]) {
        assertNumbers(await readNumbers(reader, 'orders', 0), numbersTo(relay.acknowledged))
        assert.equal((await reader.tail('orders', 0))?.number, relay.acknowledged)
      }
    }))

  it('waits no longer than it may for a broker that was halted, and goes on by itself with one that goes on', () =>
    inKafkaWorld(broker.url, async (world) => {
      const log = await world.open({ limits: { callMs: 500 } })
      const relay = startRelay(log, 'orders', 0)
      await eventually('some appends', () => relay.acknowledged > 10)
      await broker.pause()
      await eventually('a refusal', () => relay.refusals > 0, 5_000)
      const acknowledged = relay.acknowledged
      await broker.resume()
      await eventually('appends again', () => relay.acknowledged > acknowledged + 10)
      await relay.stop()
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(relay.acknowledged))
    }))
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import type { Examination, Finding } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { withNatsServer } from '../../../test/nats/server.ts'
import { withNats, type NatsWorld } from '../../../test/nats/world.ts'
import { createRecord } from '../../conformance/records.ts'
import { createNatsLog } from '../../nats.ts'

const url = engineUrl('nats')

function findingOf({ findings }: Examination, name: string): Finding {
  const finding = findings.find((found) => found.name === name)
  assert.ok(finding, `there is no finding ${name}`)
  return finding
}

const verdictOf = (examination: Examination, name: string): string => findingOf(examination, name).verdict

/** Makes the stream of a source as somebody else would. */
async function createStream({ ask, stream, system }: NatsWorld, source: string, settings: object): Promise<object> {
  return ask(`STREAM.CREATE.${stream(source)}`, {
    name: stream(source),
    subjects: [`atoll.${system}.${source}.*`],
    storage: 'file',
    ...settings,
  })
}

describe('the examination of a log on NATS', () => {
  it('finds nothing wrong with streams that the log made, and knows what it cannot see', () =>
    withNats(url, async ({ open }) => {
      const log = await open()
      assert.equal(findingOf(await log.examine(), 'nats.clock').value, 'unknown') // there is no stream yet
      await log.append('orders', [createRecord('orders', 0, 1)])
      const examination = await log.examine()
      assert.equal(examination.engine, 'NATS JetStream')
      assert.match(examination.version, /^2\.\d+\.\d+/)
      for (const name of [
        'version',
        'max-payload',
        'jetstream',
        'clock',
        'storage',
        'persist-mode',
        'retention',
        'room',
        'protection',
        'speed',
      ]) {
        assert.equal(verdictOf(examination, `nats.${name}`), 'holds', name)
      }
      assert.equal(verdictOf(examination, 'nats.replicas'), 'note')
      const sync = findingOf(examination, 'nats.sync-interval')
      assert.equal(sync.verdict, 'unknown')
      assert.match(sync.message, /monitoring/)
      assert.deepEqual(examination.survives, {
        'process kill': true,
        'OS crash': false,
        'power loss': false,
        'loss of a node': false,
      })
    }))

  it('finds streams that would lose events, names them, and leaves them as they are', () =>
    withNats(url, async (world) => {
      const log = await world.open()
      await createStream(world, 'aging', { max_age: 3_600e9 })
      await createStream(world, 'small', { max_bytes: 1_000_000, discard: 'old' })
      await createStream(world, 'few', { max_msgs_per_subject: 10, discard: 'new' })
      await createStream(world, 'polite', { max_msgs: 1_000, discard: 'new' })
      await createStream(world, 'queue', { retention: 'workqueue' })
      await createStream(world, 'volatile', { storage: 'memory' })
      const before = await world.ask(`STREAM.INFO.${world.stream('aging')}`)
      for (const source of ['aging', 'volatile']) await log.append(source, [createRecord(source, 0, 1)])
      const examination = await log.examine()

      const retention = findingOf(examination, 'nats.retention')
      assert.equal(retention.verdict, 'breaks')
      for (const problem of [
        'aging: max_age 3600 s',
        'small: max_bytes 1000000',
        'few: max_msgs_per_subject 10',
        'queue: retention workqueue',
      ]) {
        assert.ok(retention.value.includes(problem), `${retention.value} names ${problem}`)
      }
      assert.doesNotMatch(retention.value, /polite/)
      assert.match(findingOf(examination, 'nats.room').value, /polite: max_msgs 1000/)
      assert.equal(verdictOf(examination, 'nats.room'), 'note')
      assert.match(findingOf(examination, 'nats.storage').value, /volatile: memory/)
      assert.equal(verdictOf(examination, 'nats.storage'), 'breaks')
      assert.equal(verdictOf(examination, 'nats.protection'), 'note')
      assert.equal(verdictOf(examination, 'nats.speed'), 'note')
      assert.equal(examination.survives['process kill'], false)
      assert.deepEqual((await world.ask(`STREAM.INFO.${world.stream('aging')}`))['config'], before['config'])
    }))

  it('finds what the server says of itself: when it syncs, and how much a message may hold', () =>
    withNatsServer(async (server) => {
      for (const [settings, value, verdict] of [
        ['sync_interval: always', 'always', 'holds'],
        ['sync_interval: "10s"', '10 s', 'breaks'],
      ] as const) {
        await server.start(`max_payload: 300000\njetstream { store_dir: "data", ${settings} }`)
        const log = await createNatsLog({
          servers: server.url,
          system: 'shop',
          host: createNodeHost(),
          monitoring: server.monitoring,
        })
        await log.append('orders', [createRecord('orders', 0, 1)])
        const examination = await log.examine()
        assert.equal(findingOf(examination, 'nats.sync-interval').value, value)
        assert.equal(verdictOf(examination, 'nats.sync-interval'), verdict)
        assert.equal(examination.survives['power loss'], verdict === 'holds')
        assert.equal(verdictOf(examination, 'nats.max-payload'), 'breaks')
        await log.close()
        await server.kill()
      }
    }))

  it('says that a monitoring port cannot be read, and goes on', () =>
    withNats(url, async ({ open }) => {
      const log = await open({ monitoring: 'http://127.0.0.1:1' })
      const sync = findingOf(await log.examine(), 'nats.sync-interval')
      assert.equal(sync.verdict, 'unknown')
      assert.match(sync.message, /cannot be read/)
    }))
})

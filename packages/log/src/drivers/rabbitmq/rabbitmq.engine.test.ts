import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { pause, until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { deleteStreams, freshSystem, noting, withModel } from '../../../test/rabbitmq/harness.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
  readOnce,
} from '../../conformance/records.ts'
import type { Log, StoredRecord } from '../../driver.ts'
import { createRabbitmqLog, type RabbitmqLogLimits } from '../../rabbitmq.ts'

const url = engineUrl('rabbitmq')
const host = createNodeHost()

/** Runs `body` with logs of one system, as many as it opens. */
async function withSystem(
  body: (open: (limits?: Partial<RabbitmqLogLimits>) => Promise<Log>, system: string) => Promise<void>,
): Promise<void> {
  const system = freshSystem()
  const logs: Log[] = []
  const streams = new Set<string>()
  try {
    await body(async (limits = {}) => {
      const log = noting(await createRabbitmqLog({ url, system, host, limits }), system, streams)
      logs.push(log)
      return log
    }, system)
  } finally {
    await Promise.all(logs.map((log) => log.close()))
    await deleteStreams(url, streams)
  }
}

describe('two logs on one stream', () => {
  it('of two relays that race keep every record, in order for who drops known numbers', () =>
    withSystem(async (open) => {
      const [one, other] = [await open(), await open()]
      const appendAll = async (log: Log, size: number): Promise<void> => {
        for (let first = 1; first <= 120; first += size) {
          // RabbitMQ may end the connections of those who make the same stream at once; a relay appends again.
          await until('an append', () =>
            log.append('orders', createRecords('orders', 0, first, first + size - 1)).then(() => true),
          )
        }
      }
      await Promise.all([appendAll(one, 5), appendAll(other, 8)])
      for (const log of [one, other, await open()]) {
        await until('the log is connected', () => log.tail('orders', 0).then(() => true))
        assertNumbers(await readOnce(log, 'orders', 0), numbersTo(120))
        assert.equal((await log.tail('orders', 0))?.number, 120)
      }
    }))

  it('show the right tail, whatever an old relay appends late', () =>
    withSystem(async (open) => {
      const [one, old] = [await open(), await open({ messageRecordsMax: 1 })]
      await one.append('orders', createRecords('orders', 0, 1, 100))
      await old.append('orders', createRecords('orders', 0, 41, 90))
      const tail = (await one.tail('orders', 0))!
      assert.equal(tail.number, 100)
      assertNumbers(
        (await readAll(one, 'orders', 0, tail.offset)).map(({ number }) => number),
        numbersTo(90).slice(40),
      )
      await one.append('orders', createRecords('orders', 0, 101, 101))
      assertNumbers(await readOnce(one, 'orders', 0), numbersTo(101))
    }))

  it('show in one what the other has appended before, at once', () =>
    withSystem(async (open) => {
      const [one, other] = [await open(), await open()]
      for (let number = 1; number <= 30; number++) {
        await one.append('orders', [createRecord('orders', 0, number)])
        assert.equal((await other.tail('orders', 0))?.number, number)
      }
      assertNumbers(await readNumbers(other, 'orders', 0), numbersTo(30))
    }))

  it('hint to each other, also of a stream that was not there', () =>
    withSystem(async (open) => {
      const [one, other] = [await open(), await open()]
      const told = new Set<number>()
      one.watch('orders', (partition) => told.add(partition))
      assert.deepEqual(await one.read('orders', 3, null, 10), [])
      await one.tail('orders', 4)
      await other.append('orders', [createRecord('orders', 3, 1)])
      await until('a hint', () => told.has(3))
      assertNumbers(
        (await one.read('orders', 3, null, 10)).map(({ number }) => number),
        [1],
      )
      assert.deepEqual([...told], [3])
    }))

  it('of two systems do not see each other, also where their names begin alike', () =>
    withSystem(async (open, system) => {
      const log = await open()
      const neighbour = await createRabbitmqLog({ url, system: `${system}-2`, host })
      try {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        assert.equal(await neighbour.tail('orders', 0), null)
        await neighbour.append('orders', createRecords('orders', 0, 1, 1))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      } finally {
        await neighbour.close()
        await deleteStreams(url, [`atoll/${system}-2/orders/0`])
      }
    }))
})

describe('a log that makes a stream', () => {
  it('can be read at the same time', () =>
    withSystem(async (open) => {
      const log = await open()
      const isMade = new Set<number>()
      const make = async (partition: number): Promise<void> => {
        await log.append('orders', [createRecord('orders', partition, 1)])
        isMade.add(partition)
      }
      const read = async (partition: number): Promise<void> => {
        for (let isLast = false; !isLast; await pause()) {
          isLast = isMade.has(partition)
          const numbers = await readNumbers(log, 'orders', partition)
          assertNumbers(numbers, numbersTo(isLast ? 1 : numbers.length))
        }
      }
      await Promise.all(Array.from({ length: 24 }, (_, partition) => [make(partition), read(partition)]).flat())
    }))
})

describe('appends that nobody waits for', () => {
  it('are written in the order of the calls, and share messages', () =>
    withSystem(async (open, system) => {
      const log = await open()
      await Promise.all(numbersTo(200).map((number) => log.append('orders', [createRecord('orders', 0, number)])))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(200))
      const messages = new Set((await readAll(log, 'orders', 0)).map(({ offset }) => offset.split('.')[0]))
      assert.ok(messages.size < 10, `${messages.size} messages in ${system}`)
    }))
})

describe('a stream that has been deleted', () => {
  it('is not made again for what comes later', () =>
    withSystem(async (open, system) => {
      const [log, other] = [await open(), await open()]
      await log.append('orders', createRecords('orders', 0, 1, 3))
      const { offset } = (await readAll(other, 'orders', 0))[0]!
      await deleteStreams(url, [`atoll/${system}/orders/0`])
      await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 4, 6)))
      for (const each of [log, other, await open()]) {
        await assertRefused('LOG_GAP', each.read('orders', 0, offset, 10))
        assert.equal(await each.tail('orders', 0), null)
        assert.deepEqual(await each.read('orders', 0, null, 10), [])
      }
    }))

  it('and begun anew, is not taken for the one that was read before', () =>
    withSystem(async (open, system) => {
      const log = await open()
      await log.append('orders', createRecords('orders', 0, 1, 6))
      const offsets = (await readAll(log, 'orders', 0)).map(({ offset }) => offset)
      await deleteStreams(url, [`atoll/${system}/orders/0`])
      const other = await open()
      await other.append('orders', [
        createRecord('orders', 0, 1),
        createRecord('orders', 0, 5),
        createRecord('orders', 0, 9),
      ])
      for (const offset of offsets.slice(1)) await assertRefused('LOG_GAP', log.read('orders', 0, offset, 10))
    }))
})

describe('a stream that somebody has made, and nobody has written to', () => {
  it('is taken for empty when it has been for a while, and until then nobody is told anything', () =>
    withSystem(async (open, system) => {
      const name = `atoll/${system}/orders/0`
      await withModel(
        url,
        async (model) =>
          void (await (
            await model.createChannel()
          ).assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'stream' } })),
      )
      const log = await open({ callMs: 1_000, emptyMs: 1_500 })
      await assertRefused('UNAVAILABLE', log.read('orders', 0, null, 10))
      await until('it shows', async () => (await log.tail('orders', 0)) === null)
      assert.deepEqual(await log.read('orders', 0, null, 10), [])
      await assertRefused('LOG_GAP', log.read('orders', 0, '3.0.7', 10))
      await log.append('orders', createRecords('orders', 0, 1, 3))
      assertNumbers(await readNumbers(log, 'orders', 0), [1, 2, 3])
      assert.equal((await log.tail('orders', 0))?.number, 3)
    }))
})

describe('a stream that forgets', () => {
  it('tells who reads what it has forgotten, and is named by an examination', () =>
    withSystem(async (open, system) => {
      const name = `atoll/${system}/orders/0`
      await withModel(url, async (model) => {
        const channel = await model.createChannel()
        await channel.assertQueue(name, {
          durable: true,
          arguments: {
            'x-queue-type': 'stream',
            'x-max-length-bytes': 20_000,
            'x-stream-max-segment-size-bytes': 10_000,
          },
        })
      })
      const log = await open()
      let offset = ''
      let number = 0
      await until('the first records are gone', async () => {
        await log.append('orders', [createRecord('orders', 0, ++number, { data: `"${'x'.repeat(2_000)}"` })])
        if (number === 2) offset = (await readAll(log, 'orders', 0))[1]!.offset
        return isGap(
          await open().then((other) =>
            other
              .read('orders', 0, null, 10)
              .finally(() => other.close())
              .catch((error: unknown) => error),
          ),
        )
      })
      const other = await open()
      await assertRefused('LOG_GAP', other.read('orders', 0, offset, 10))
      const tail = (await other.tail('orders', 0))!
      assert.equal(tail.number, number)
      assert.deepEqual(await other.read('orders', 0, tail.offset, 10), [])
      const { findings } = await other.examine()
      const found = findings.find((finding) => finding.name === 'rabbitmq.arguments')
      assert.equal(found?.verdict, 'breaks')
      assert.match(found.value, /x-max-length-bytes/)
    }))
})

describe('readers of one stream', () => {
  it('get everything, each at its own pace, also where more of them than followers', () =>
    withSystem(async (open) => {
      const log = await open({ followersMax: 3, recentBytesMax: 2_000, messageRecordsMax: 4, readAheadMessages: 3 })
      await log.append('orders', createRecords('orders', 0, 1, 150))
      const read = async (pageSize: number): Promise<void> => {
        assertNumbers(
          (await readAll(log, 'orders', 0, null, pageSize)).map(({ number }) => number),
          numbersTo(150),
        )
      }
      await Promise.all([1, 3, 7, 20, 150, 11, 2].map(read))
    }))

  it('read on where they stood after nobody has read for long', () =>
    withSystem(async (open) => {
      const log = await open({ followerIdleMs: 1 })
      await log.append('orders', createRecords('orders', 0, 1, 50))
      let offset: string | null = null
      for (const number of numbersTo(50)) {
        const found: StoredRecord[] = await log.read('orders', 0, offset, 1)
        assertNumbers(
          found.map((record) => record.number),
          [number],
        )
        offset = found[0]!.offset
        await pause()
      }
      await log.append('orders', createRecords('orders', 0, 51, 60))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(60))
    }))

  it('see what is appended while they wait at the end, without asking again and again', () =>
    withSystem(async (open) => {
      const [log, other] = [await open(), await open()]
      await log.append('orders', createRecords('orders', 0, 1, 1))
      let after = (await other.tail('orders', 0))!.offset
      for (let number = 2; number <= 40; number++) {
        assert.deepEqual(await other.read('orders', 0, after, 10), [])
        let hinted = false
        const end = other.watch('orders', () => (hinted = true))
        await log.append('orders', [createRecord('orders', 0, number)])
        await until('a hint', () => hinted)
        end()
        const found = await other.read('orders', 0, after, 10)
        assertNumbers(
          found.map((record) => record.number),
          [number],
        )
        after = found[0]!.offset
      }
    }))
})

describe('a log on RabbitMQ', () => {
  it('refuses offsets that it did not give', () =>
    withSystem(async (open) => {
      const log = await open({ callMs: 1_000 })
      for (const offset of [
        '',
        '0',
        '1.1',
        '-1.0.1',
        '1.0.0',
        '01.0.1',
        '1.0.1.1',
        'yesterday',
        '9999999999999999.0.1',
      ])
        await assertRefused('INVALID', log.read('orders', 0, offset, 10))
      await log.append('orders', createRecords('orders', 0, 1, 3))
      await assertRefused('LOG_GAP', log.read('orders', 0, '0.0.7', 10))
      await assertRefused('LOG_GAP', log.read('orders', 0, '5.0.7', 10))
    }))

  it('bounds what one read answers, in records and in characters, and gives all of it page by page', () =>
    withSystem(async (open) => {
      const log = await open({ readRecordsMax: 50, readBytesMax: 5_000 })
      const sizes = Array.from({ length: 120 }, (_, index) => (index < 60 ? 900 : 10))
      await log.append(
        'orders',
        sizes.map((size, index) => createRecord('orders', 0, index + 1, { data: `"${'x'.repeat(size)}"` })),
      )
      assert.equal((await log.read('orders', 0, null, 1000)).length, 6)
      const { offset } = (await readAll(log, 'orders', 0))[59]!
      assert.equal((await log.read('orders', 0, offset, 1000)).length, 50)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(120))
    }))

  it('says that a message is not its own, after what came before it', () =>
    withSystem(async (open, system) => {
      const log = await open()
      await log.append('orders', createRecords('orders', 0, 1, 3))
      await withModel(url, async (model) => {
        const channel = await model.createConfirmChannel()
        channel.sendToQueue(`atoll/${system}/orders/0`, Buffer.from('hello'))
        await channel.waitForConfirms()
      })
      const other = await open()
      assertNumbers(
        (await other.read('orders', 0, null, 10)).map(({ number }) => number),
        [1, 2, 3],
      )
      await assertRefused('STORE_CORRUPT', readAll(other, 'orders', 0))
    }))

  it('does not keep a process alive once it is closed, also where it was just about to connect', () => {
    const system = freshSystem()
    const program = `
      import { setTimeout as after } from 'node:timers/promises'
      import { createNodeHost } from '@atoll/host/node'
      import { createRabbitmqLog } from '@atoll/log/rabbitmq'
      for (let ms = 0; ms < 10; ms++) {
        const log = createRabbitmqLog({ url: '${url}', system: '${system}', host: createNodeHost() })
        await after(ms)
        const opened = await log
        opened.watch('orders', () => {})
        if (ms > 5) await opened.tail('orders', 0)
        await opened.close()
      }
      console.log('closed')`
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: join(import.meta.dirname),
      encoding: 'utf8',
      timeout: 5 * 60_000,
    })
    assert.equal(output, 'closed\n')
  })

  it('says what it is, and what it cannot see', () =>
    withSystem(async (open) => {
      const log = await open()
      await log.append('orders', createRecords('orders', 0, 1, 1))
      const { engine, version, findings, survives } = await log.examine()
      assert.equal(engine, 'RabbitMQ')
      assert.match(version, /^\d+\.\d+/)
      assert.deepEqual(
        findings.filter(({ verdict }) => verdict === 'breaks').map(({ name }) => name),
        ['rabbitmq.fsync'],
      )
      assert.equal(findings.find(({ name }) => name === 'rabbitmq.arguments')?.verdict, 'holds')
      assert.deepEqual(survives, {
        'process kill': true,
        'OS crash': false,
        'power loss': false,
        'loss of a node': false,
      })
    }))

  it('refuses urls and names of systems that cannot be', async () => {
    await assertRefused('INVALID', createRabbitmqLog({ url: 'http://127.0.0.1', system: 'shop', host }))
    for (const system of ['', 'a b', 'a/b', 'x'.repeat(64)])
      await assertRefused('INVALID', createRabbitmqLog({ url, system, host }))
  })
})

function isGap(found: unknown): boolean {
  return found instanceof Error && 'code' in found && found.code === 'LOG_GAP'
}

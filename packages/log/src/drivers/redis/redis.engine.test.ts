import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { pause, until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { createRedisHarness, deleteStreams, freshSystem, withClient } from '../../../test/redis/harness.ts'
import type { LogWorld } from '../../conformance.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createRedisLog, type RedisLogLimits } from '../../redis.ts'

const url = engineUrl('redis')
const host = createNodeHost()

async function withWorld(limits: Partial<RedisLogLimits>, body: (world: LogWorld) => Promise<void>): Promise<void> {
  const world = await createRedisHarness(url, limits).open()
  try {
    await body(world)
  } finally {
    await world.dispose()
  }
}

/** Runs `body` with logs of one system, as many as it opens. */
async function withSystem(
  body: (open: (limits?: Partial<RedisLogLimits>) => Promise<Log>, system: string) => Promise<void>,
): Promise<void> {
  const system = freshSystem()
  const logs: Log[] = []
  try {
    await body(async (limits = {}) => {
      const log = await createRedisLog({ url, system, host, limits })
      logs.push(log)
      return log
    }, system)
  } finally {
    await Promise.all(logs.map((log) => log.close()))
    await deleteStreams(url, `${system}/*`)
  }
}

describe('two logs on one stream', () => {
  it('give each number to one event: of two relays that race, one is refused', () =>
    withSystem(async (open) => {
      const [one, other] = [await open(), await open()]
      let refused = 0
      for (let number = 1; number <= 50; number++) {
        const append = (log: Log, id: string): Promise<unknown> =>
          log
            .append('orders', [createRecord('orders', 0, number, { id: `${id}-${number}` })])
            .catch((error) => assertDiverged(error, () => refused++))
        await Promise.all([append(one, 'one'), append(other, 'other')])
      }
      assert.equal(refused, 50)
      assertNumbers(await readNumbers(one, 'orders', 0), numbersTo(50))
    }))

  it('hint to each other', () =>
    withSystem(async (open) => {
      const [one, other] = [await open(), await open()]
      const told = new Set<number>()
      one.watch('orders', (partition) => told.add(partition))
      await until('a hint from the other log', async () => {
        const number = ((await other.tail('orders', 3))?.number ?? 0) + 1
        await other.append('orders', [createRecord('orders', 3, number)])
        await pause()
        return told.has(3)
      })
      assert.deepEqual([...told], [3])
    }))

  it('of two systems do not see each other, also where their names begin alike', () =>
    withSystem(async (open, system) => {
      const log = await open()
      const neighbour = await createRedisLog({ url, system: `${system}-2`, host })
      try {
        await log.append('orders', createRecords('orders', 0, 1, 3))
        assert.equal(await neighbour.tail('orders', 0), null)
        await neighbour.append('orders', createRecords('orders', 0, 1, 1))
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      } finally {
        await neighbour.close()
        await deleteStreams(url, `${system}-2/*`)
      }
    }))
})

describe('an append of several parts', () => {
  it('is refused as a whole for what is wrong in its last part', () =>
    withWorld({ scriptRecordsMax: 10 }, async ({ log }) => {
      const records = [...createRecords('orders', 0, 1, 95), createRecord('orders', 1, 2)]
      await assertRefused('LOG_GAP', log.append('orders', records))
      assertNumbers(await readNumbers(log, 'orders', 0), [])
    }))

  it('goes before what is appended after it, and after what was appended before, without anybody waiting', () =>
    withWorld({ scriptRecordsMax: 10 }, async ({ log }) => {
      await Promise.all([
        log.append('orders', createRecords('orders', 0, 1, 5)),
        log.append('orders', createRecords('orders', 0, 6, 60)),
        log.append('orders', createRecords('orders', 0, 61, 62)),
        log.append('orders', createRecords('orders', 0, 63, 99)),
      ])
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(99))
    }))
})

describe('a log whose scripts somebody has flushed', () => {
  it('goes on', () =>
    withWorld({}, async ({ log }) => {
      await log.append('orders', createRecords('orders', 0, 1, 3))
      await withClient(url, (client) => client.scriptFlush())
      await log.append('orders', createRecords('orders', 0, 4, 6))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(6))
    }))
})

describe('a stream that has lost records', () => {
  const lossy = (harm: (key: string) => string[], body: (log: Log) => Promise<void>): Promise<void> =>
    withSystem(async (open, system) => {
      const log = await open()
      await log.append('orders', createRecords('orders', 0, 1, 10))
      await withClient(url, (client) => client.sendCommand(harm(`atoll:{${system}/orders}:0`)))
      await body(log)
    })

  it('which were its first, tells who reads from the beginning or from among them, and nobody else', () =>
    lossy(
      (key) => ['XTRIM', key, 'MAXLEN', '4'],
      async (log) => {
        await assertRefused('LOG_GAP', log.read('orders', 0, null, 5))
        await assertRefused('LOG_GAP', log.read('orders', 0, '5', 5))
        assertNumbers(
          (await log.read('orders', 0, '6', 5)).map(({ number }) => number),
          [7, 8, 9, 10],
        )
        await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 6, 7)))
        await log.append('orders', createRecords('orders', 0, 10, 11))
      },
    ))

  it('in its middle, answers what is before them and then tells', () =>
    lossy(
      (key) => ['XDEL', key, '5-0'],
      async (log) => {
        assertNumbers(
          (await log.read('orders', 0, null, 10)).map(({ number }) => number),
          [1, 2, 3, 4],
        )
        await assertRefused('LOG_GAP', log.read('orders', 0, '4', 10))
      },
    ))

  it('at its end, takes no more and tells who had read them', () =>
    lossy(
      (key) => ['XDEL', key, '9-0', '10-0'],
      async (log) => {
        await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 11, 11)))
        await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 9, 9)))
        assert.equal((await log.tail('orders', 0))?.number, 8)
        await assertRefused('LOG_GAP', log.read('orders', 0, '9', 10))
      },
    ))

  it('all of them, tells whoever reads, from wherever', () =>
    lossy(
      (key) => ['XTRIM', key, 'MAXLEN', '0'],
      async (log) => {
        await assertRefused('LOG_GAP', log.read('orders', 0, null, 10))
        await assertRefused('LOG_GAP', log.read('orders', 0, '9', 10))
        assert.deepEqual(await log.read('orders', 0, '10', 10), [])
      },
    ))

  it('is named by an examination', () =>
    lossy(
      (key) => ['XTRIM', key, 'MAXLEN', '4'],
      async (log) => {
        const { findings } = await log.examine()
        assert.equal(findings.find(({ name }) => name === 'redis.streams')?.verdict, 'breaks')
      },
    ))
})

describe('a log on Redis', () => {
  it('refuses offsets that it did not give', () =>
    withWorld({}, async ({ log }) => {
      for (const offset of ['', '0', '-1', '1-0', '01', '1e3', 'yesterday', '99999999999999999'])
        await assertRefused('INVALID', log.read('orders', 0, offset, 10))
    }))

  it('bounds what one read answers, in records and in bytes, and gives all of it page by page', () =>
    withWorld({ dataBytesMax: 1000, readRecordsMax: 50, readBytesMax: 5000 }, async ({ log }) => {
      const sizes = Array.from({ length: 120 }, (_, index) => (index < 60 ? 900 : 10))
      await log.append(
        'orders',
        sizes.map((size, index) => createRecord('orders', 0, index + 1, { data: `"${'x'.repeat(size)}"` })),
      )
      assert.equal((await log.read('orders', 0, null, 1000)).length, 5)
      assert.equal((await log.read('orders', 0, '60', 1000)).length, 50)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(120))
    }))

  it('says that an entry is not its own', () =>
    withSystem(async (open, system) => {
      const log = await open()
      await withClient(url, (client) => client.xAdd(`atoll:{${system}/orders}:0`, '1-0', { text: 'hello' }))
      await assertRefused('STORE_CORRUPT', log.read('orders', 0, null, 10))
      await withClient(url, (client) => client.xAdd(`atoll:{${system}/orders}:1`, '*', { text: 'hello' }))
      await assertRefused('LOG_GAP', log.append('orders', [createRecord('orders', 1, 1)]))
      await withClient(url, (client) => client.set(`atoll:{${system}/orders}:2`, 'hello'))
      await assertRefused('STORE_CORRUPT', log.append('orders', [createRecord('orders', 2, 1)]))
      await withClient(url, (client) => client.del(`atoll:{${system}/orders}:2`))
    }))

  it('does not keep a process alive once it is closed, also where it was just about to connect', () => {
    const system = freshSystem()
    const program = `
      import { setTimeout as after } from 'node:timers/promises'
      import { createNodeHost } from '@atoll/host/node'
      import { createRedisLog } from '@atoll/log/redis'
      const log = await createRedisLog({ url: '${url}', system: '${system}', host: createNodeHost() })
      log.watch('orders', () => {})
      await log.tail('orders', 0)
      await log.close()
      for (let ms = 0; ms < 20; ms++) {
        const another = await createRedisLog({ url: '${url}', system: '${system}', host: createNodeHost() })
        another.watch('orders', () => {})
        await after(ms / 2)
        await another.close()
      }
      console.log('closed')`
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: join(import.meta.dirname),
      encoding: 'utf8',
      timeout: 5 * 60_000,
    })
    assert.equal(output, 'closed\n')
  })

  it('refuses urls and names of systems that cannot be', async () => {
    await assertRefused('INVALID', createRedisLog({ url: 'http://127.0.0.1', system: 'shop', host }))
    for (const system of ['', 'a b', '*', 'a/b', '{a}', 'x'.repeat(64)])
      await assertRefused('INVALID', createRedisLog({ url, system, host }))
  })
})

function assertDiverged(error: unknown, then: () => void): void {
  assert.equal((error as { code?: string }).code, 'LOG_DIVERGED')
  then()
}

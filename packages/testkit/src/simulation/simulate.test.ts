import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { command, contract, event, query, service, system } from 'atoll'
import { z } from 'zod'
import { createRandom } from '../random.ts'
import { drawFaults } from './draw.ts'
import { describeFault, type Fault } from './fault.ts'
import { runSeed, type Simulation } from './run.ts'
import { assertSame, simulate } from './simulate.ts'
import { shrinkFaults } from './shrink.ts'
import { thrownKinds } from './thrown.ts'

// A till and a book that copies it: right as it is, and wrong in one way or another.

const Coin = z.object({ id: z.string(), cents: z.int() })
const dropped = event('coin.dropped', { version: 1, key: ({ id }) => id, data: Coin })
const till = contract('till', { events: [dropped], drop: command({ input: Coin, output: z.void() }) })
const book = contract('book', { total: query({ input: z.object({}), output: z.object({ cents: z.int() }) }) })
const coins = sqlStore<{ coins: { id: string; cents: number } }>({
  migrations: { '0001-coins': 'CREATE TABLE coins (id TEXT NOT NULL, cents INTEGER NOT NULL) STRICT' },
})

function createShop(wrong: (id: string) => void = () => {}) {
  return system('shop', {
    services: [
      service(till, {
        store: coins,
        handlers: {
          drop: async ({ input, tx }) => {
            await tx(async ({ db, emit }) => {
              await db.insertInto('coins').values(input).execute()
              emit(dropped, input)
            })
          },
        },
      }),
      service(book, {
        store: coins,
        subscribe: ({ on }) => [
          on(dropped, ({ event: { data }, tx }) => {
            wrong(data.id)
            return tx(({ db }) => db.insertInto('coins').values(data).execute())
          }),
        ],
        handlers: {
          total: async ({ db }) => ({
            cents: (await db.selectFrom('coins').selectAll().execute()).reduce((sum, { cents }) => sum + cents, 0),
          }),
        },
      }),
    ],
  })
}

const simulation: Simulation<{ count: number }> = {
  begin: () => ({ count: 0 }),
  steps: 10,
  workload: async ({ call, state, name }) => call(till.drop, { id: `${name}-${++state.count}`, cents: 5 }),
  invariants: {
    settled: {
      'the book is as the till': async ({ world }) => {
        type Tables = { coins: { id: string; cents: number } }
        const [own, copied] = await Promise.all(
          ['till', 'book'].map((name) =>
            world.db<Tables>(name).selectFrom('coins').select('id').orderBy('id').execute(),
          ),
        )
        assert.deepEqual(copied, own)
      },
    },
  },
}

describe('simulate', () => {
  it('says how many events and faults a system that keeps its promises has seen', async () => {
    const report = await simulate(createShop(), { ...simulation, runs: 10, repeated: 2 })
    assert.equal(report.runs, 10)
    assert.ok(report.events > 100 && report.faults > 20, JSON.stringify(report))
  })

  it('rejects with the seed, the invariant, and how to replay it, and keeps the run', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-regressions-'))
    const regressions = join(folder, 'shop.json')
    try {
      const untrue = {
        ...simulation,
        invariants: {
          settled: { 'there are few coins': ({ state }: { state: { count: number } }) => assert.ok(state.count < 5) },
        },
      }
      await assert.rejects(simulate(createShop(), { ...untrue, runs: 3, regressions }), (error: AtollError) => {
        assert.equal(error.code, 'INVARIANT_BROKEN')
        for (const part of ['seed 1 of shop', 'there are few coins', 'with no fault at all', 'ATOLL_SEED=1'])
          assert.ok(error.message.includes(part), error.message)
        return true
      })
      const [kept] = JSON.parse(readFileSync(regressions, 'utf8')) as { seed: number; faults: unknown[] }[]
      assert.deepEqual([kept?.seed, kept?.faults], [1, []], 'no fault was needed')
      const seeds: (number | string)[] = []
      await simulate(createShop(), {
        ...simulation,
        runs: 2,
        seed: 7,
        repeated: 0,
        regressions,
        onRun: ({ seed }) => seeds.push(seed),
      })
      assert.deepEqual(seeds, [1, 7, 8], 'what failed once is run first')
    } finally {
      rmSync(folder, { recursive: true })
      assert.ok(!existsSync(folder))
    }
  })

  it('looks at what always holds while the system runs', async () => {
    let looks = 0
    await simulate(createShop(), {
      ...simulation,
      runs: 1,
      repeated: 0,
      invariants: { always: { 'one looks': ({ elapsedMs }) => void (elapsedMs() > 0 && looks++) } },
    })
    assert.ok(looks > 2)
  })

  it('notices what is not the same in the next run of a seed', async () => {
    let runs = 0
    const forgetful = createShop((id) => {
      if (id.endsWith('-3') && runs++ === 0) throw new Error('only the first time, in this process')
    })
    const report = await runSeed(forgetful, simulation, 1, [])
    await assert.rejects(assertSame(forgetful, simulation, report, []), { code: 'NONDETERMINISTIC' })
  })

  it('takes no two runs of a seed for different because it added faults to those drawn', async () => {
    const drawsFew = { ...simulation, faultCount: { least: 0, most: 0 }, least: { faults: 3 } }
    const { faults } = await simulate(createShop(), { ...drawsFew, runs: 1 })
    assert.ok(faults >= 3)
  })

  it('fails a run whose handler uses what a world refuses', async () => {
    const random = createShop(() => void Math.random())
    const { failure } = await runSeed(random, simulation, 1, [])
    assert.equal(failure?.invariant, 'every run of a seed is the same')
    assert.match(String(failure?.error), /book-1 used Math\.random\(\)/)
  })

  it('has events that fail at every try be dead letters, whatever their handlers throw, and holds up no other for them', async () => {
    for (const thrown of thrownKinds) {
      const { failure, happened } = await runSeed(createShop(), { ...simulation, steps: 3 }, 1, [
        { kind: 'poison', service: 'book', nth: 2, thrown },
      ])
      assert.deepEqual([failure, happened], [undefined, 1], thrown)
    }
  })

  it('has events that end their process at every try be dead letters', async () => {
    for (const phase of ['before', 'during'] as const) {
      const { failure, happened } = await runSeed(createShop(), { ...simulation, steps: 3 }, 1, [
        { kind: 'fatal', service: 'book', phase, nth: 2, downMs: 100 },
      ])
      assert.deepEqual([failure, happened], [undefined, 1], phase)
    }
  })

  it('fails a run in which an event that fails at every try is no dead letter', async () => {
    const tolerant = { ...simulation, world: { runtime: { attemptsMax: 1_000, retryDelayMsMax: 60_000 } } }
    const { failure } = await runSeed(createShop(), tolerant, 1, [{ kind: 'poison', service: 'book', nth: 1 }])
    assert.equal(failure?.invariant, 'an event that keeps failing is a dead letter, and holds up no other')
    assert.match(String(failure?.error), /1 of coin\.dropped pending in book/)
  })

  it('fails a run whose handler leaves an error that nobody catches, and would end its process', async () => {
    const forgotten = createShop((id) => void (id.endsWith('-3') && Promise.reject(new Error('nobody waits for it'))))
    const { failure } = await runSeed(forgotten, simulation, 1, [])
    assert.equal(failure?.invariant, 'no process ends by what runs in it')
    assert.match(
      String(failure?.error),
      /book-1 has ended: a promise was rejected, and nobody awaits it \(nobody waits for it\)/,
    )
  })
})

describe('faults', () => {
  const range = {
    system: createShop(),
    hasNext: true,
    kinds: undefined,
    count: { least: 6, most: 14 },
    spanMs: 20_000,
    leaseMs: 3_000,
  }

  const earlierKinds = [
    'crash',
    'failure',
    'delay',
    'repeat',
    'error',
    'poison',
    'fatal',
    'pause',
    'clock',
    'second',
    'stop',
    'power',
    'deploy',
  ] as const

  it('are the same for the same seed, and each can be said in words', () => {
    const draw = (seed: number): Fault[] => drawFaults(createRandom(seed), range)
    assert.deepEqual(draw(1), draw(1))
    assert.notDeepEqual(draw(1), draw(2))
    const kinds = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      for (const fault of draw(seed)) {
        kinds.add(fault.kind)
        assert.match(describeFault(fault), /\d/)
      }
    }
    assert.equal(kinds.size, 15, [...kinds].join())
  })

  it('of a seed are those that they were before latency was drawn, and some more where it is', () => {
    let slow = 0
    for (let seed = 0; seed < 50; seed++) {
      const [drawn, earlier] = [range, { ...range, kinds: earlierKinds }].map((one) =>
        drawFaults(createRandom(seed), one),
      )
      assert.deepEqual(drawn!.slice(0, earlier!.length), earlier)
      if (drawn!.some(({ kind }) => kind === 'latency')) slow++
      else assert.equal(drawn!.length, earlier!.length)
    }
    assert.ok(slow > 10 && slow < 30, `${slow} of 50`)
  })

  it('let stores and log take their time, and systems that keep their promises keep them', async () => {
    for (const slow of [['stores'], ['log'], ['stores', 'log']] as const) {
      const latency: Fault = { kind: 'latency', service: 'book', slow, atMs: 0, forMs: 60_000, msMax: 2_000 }
      const { failure, happened } = await runSeed(createShop(), simulation, 1, [latency])
      assert.deepEqual([failure, happened], [undefined, 1], slow.join())
    }
  })

  it('have a service stop that has just come back from a crash', async () => {
    const crash: Fault = {
      kind: 'crash',
      service: 'book',
      point: 'commit',
      phase: 'before',
      nth: 5,
      downMs: 100,
      renamed: false,
    }
    const drain: Fault = { kind: 'drain', service: 'book', point: 'commit', nthAfterCrash: 2, downMs: 100 }
    const reports = await Promise.all(
      [[crash, drain], [drain]].map((faults) => runSeed(createShop(), simulation, 1, faults)),
    )
    assert.deepEqual(
      reports.map(({ failure, happened }) => [failure, happened]),
      [
        [undefined, 2],
        [undefined, 0],
      ],
    )
  })

  it('bring parts back from backups once, where a simulation names that', () => {
    const parts = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const restores = drawFaults(createRandom(seed), { ...range, kinds: ['crash', 'restore'] }).filter(
        (fault) => fault.kind === 'restore',
      )
      assert.equal(restores.length, 1)
      for (const { name, momentMs } of restores[0]!.parts) if (parts.add(name)) assert.ok(momentMs < restores[0]!.atMs)
    }
    assert.deepEqual([...parts].sort(), ['book', 'log', 'till'])
  })

  it('put no copy in the place of a store that came back with all it had, and has gone on since', async () => {
    const restore: Fault = { kind: 'restore', atMs: 1, parts: [{ name: 'till', momentMs: 0 }], downMs: 10 }
    const { failure, happened } = await runSeed(createShop(), simulation, 1, [restore])
    assert.deepEqual([failure, happened], [undefined, 1])
  })

  it('are shrunk to those that a failure needs', async () => {
    const faults = Array.from({ length: 13 }, (_, index): Fault => ({ kind: 'power', atMs: index, downMs: 1 }))
    const needed = await shrinkFaults(faults, async (fewer) =>
      [3, 9].every((atMs) => fewer.some((fault) => fault.kind === 'power' && fault.atMs === atMs)),
    )
    assert.deepEqual(
      needed.map((fault) => 'atMs' in fault && fault.atMs),
      [3, 9],
    )
  })
})

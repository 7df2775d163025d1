import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl, findPorts, type EngineName } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import type { DeadLetter } from 'atoll/runtime'
import { inFleet, type Fleet } from '../test/fleet.ts'
import { removeSystem } from '../test/removal.ts'

// Handlers that end their process, in processes that a supervisor starts again, over stores on PostgreSQL and a log on
// an engine.

const poison = join(import.meta.dirname, '../test/fixture-poison.ts')
const instances = ['notes-1', 'notes-2'] as const
/** What a note does to the process that handles it, by its key. */
const deadly = { exits: 'exit', loops: 'loop', hoards: 'memory' } as const

interface Account {
  readonly handled: number
  readonly pending: number
  readonly parked: number
  readonly dead: number
  readonly balanced: boolean
}

interface Town {
  take(id: string, how: string): Promise<void>
  isAlive(): Promise<boolean>
  ledger(): Promise<Account>
  /** What dead letters have failed with, and after how many tries, by their keys. */
  letters(): Promise<ReadonlyMap<string, string>>
  /** How often a process of the notes has ended. */
  ends(): number
}

async function inTown(log: EngineName, work: (town: Town) => Promise<void>): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  try {
    await inFleet(async (fleet) => {
      const { town, close } = await found(fleet, system, engineUrl(log))
      try {
        await work(town)
      } finally {
        close()
      }
    })
  } finally {
    await removeSystem(system)
  }
}

async function found(
  { start, run, folder }: Fleet,
  system: string,
  log: string,
): Promise<{ town: Town; close(): void }> {
  const [otherPort, ...ports] = await Promise.all(['other', ...instances].map(() => findPorts(1)))
  const env = { FIXTURE_NAME: system }
  const content = {
    system: poison,
    store: { url: engineUrl('postgres') },
    log: { url: log },
    discovery: {
      static: { notes: ports.map((port) => `http://127.0.0.1:${port}`), other: [`http://127.0.0.1:${otherPort}`] },
    },
    loopStallMsMax: 5_000,
    runtime: { leaseMs: 3_000, attemptsMax: 2, retryDelayMs: 10, partitions: 4 },
    accept: (process.env['ATOLL_ACCEPT'] ?? '').split(',').filter((name) => name !== ''),
  }
  writeFileSync(join(folder, 'atoll.json'), JSON.stringify(content))
  let [ends, isOver] = [0, false]
  const supervise = async (name: string, port: number): Promise<void> => {
    while (!isOver) {
      await start(['start', '--service', 'notes', '--instance', name, '--calls-port', String(port)], {
        ...env,
        NODE_OPTIONS: '--max-old-space-size=160',
      }).ended
      ends++
    }
  }
  for (const [index, name] of instances.entries()) void supervise(name, ports[index]!) // there is one for each
  const other = start(['start', '--service', 'other', '--instance', 'other-1', '--calls-port', String(otherPort)], env)
  const gateway = start(['start', '--gateway', '--port', '0'], env)
  await other.ready()
  const url = (await gateway.ready()).gatewayUrl!
  const lines = async (...args: string[]): Promise<string[]> =>
    (await run([...args, '--json'], env)).out.split('\n').filter((line) => line !== '')
  const town: Town = {
    ends: () => ends,
    async take(id, how) {
      const options = {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `"${id}"` },
        body: JSON.stringify({ id, how }),
      }
      // its instances may be down just now
      await until(`${id} is taken`, async () => (await fetch(`${url}/notes`, options)).ok)
    },
    // as its contract says
    isAlive: async () => ((await (await fetch(`${url}/other`)).json()) as { alive: boolean }).alive,
    async ledger() {
      const [line] = await lines('ledger')
      return JSON.parse(line ?? '{}') as Account // as the docs say; nothing, until the stores are there
    },
    async letters() {
      const letters = (await lines('dead-letters')).map((line) => JSON.parse(line) as DeadLetter) // as the docs say
      return new Map(
        letters.map(({ event, attempts, error }) => [event.key, `${attempts} ${error.code} ${error.message}`]),
      )
    },
  }
  return { town, close: () => void (isOver = true) }
}

describe('events whose handlers end their process, in several processes', () => {
  for (const log of ['nats', 'postgres'] as const) {
    it(`are dead letters after their tries, and hold up no others, over PostgreSQL and ${log}`, () =>
      inTown(log, async (town) => {
        for (const [id, how] of Object.entries(deadly)) await town.take(id, how)
        for (let nth = 0; nth < 8; nth++) await town.take(`fine-${nth}`, 'nothing')
        await until('all is handled or dead', async () => {
          const { handled, dead } = await town.ledger()
          return handled === 8 && dead === 3
        })
        // beside one that ends its process it might lose a try to that
        await town.take('strays', 'stray')
        await until('it is dead', async () => (await town.ledger()).dead === 4)
        const letters = await town.letters()
        for (const id of Object.keys(deadly)) assert.match(letters.get(id) ?? '', /^2 PROCESS_ENDED /, id)
        assert.match(letters.get('strays') ?? '', /^2 INTERNAL .*a stray before the commit/)
        const { pending, parked, balanced } = await town.ledger()
        assert.deepEqual([pending, parked, balanced, await town.isAlive()], [0, 0, true, true])
        const ends = town.ends()
        await town.take('later', 'nothing')
        await until('what comes later is handled', async () => (await town.ledger()).handled === 9)
        assert.equal(town.ends(), ends, 'nothing ends a process any more')
      }))
  }
})

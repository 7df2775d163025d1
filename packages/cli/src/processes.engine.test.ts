import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl, findPorts } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { fixtureShop, inFleet, readiness, type Fleet, type Running } from '../test/fleet.ts'
import { removeSystem } from '../test/removal.ts'

const instances = ['shop-1', 'shop-2', 'warehouse-1', 'warehouse-2'] as const
type Name = (typeof instances)[number]

/** A shop and a warehouse, two instances of each, and a gateway, over PostgreSQL. */
interface Town {
  readonly running: Record<Name, Running>
  readonly url: string
  /** While it is there, the warehouse is broken. */
  readonly broken: string
  restart(name: Name): Promise<void>
  atoll(...args: string[]): Promise<{ code: number | null; out: string; err: string }>
  place(sku: string, count?: number): Promise<Response>
  /** As somebody sees it who has seen `placed`. */
  stock(placed?: Response): Promise<readonly string[]>
  /** What stands in the ledger under these words, summed over its lines. */
  ledger(): Promise<
    Record<'published' | 'handled' | 'pending' | 'parked' | 'dead' | 'discarded', number> & { balanced: boolean }
  >
}

async function inTown(work: (town: Town) => Promise<void>): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  try {
    await inFleet(async (fleet) => work(await found(fleet, system)))
  } finally {
    await removeSystem(system)
  }
}

async function found({ start, run, folder }: Fleet, system: string): Promise<Town> {
  const ports = Object.fromEntries(
    await Promise.all(instances.map(async (name) => [name, await findPorts(1)] as const)),
  ) as Record<Name, number> // one for each
  const at = (service: string): string[] =>
    instances.filter((name) => name.startsWith(service)).map((name) => `http://127.0.0.1:${ports[name]}`)
  const broken = join(folder, 'broken')
  const env = { FIXTURE_NAME: system, BROKEN: broken }
  const content = {
    system: fixtureShop,
    store: { url: engineUrl('postgres') },
    log: { url: engineUrl('postgres') },
    discovery: { static: { shop: at('shop'), warehouse: at('warehouse') } },
    runtime: { leaseMs: 3_000, attemptsMax: 2, retryDelayMs: 10 },
    accept: (process.env['ATOLL_ACCEPT'] ?? '').split(',').filter((name) => name !== ''),
  }
  writeFileSync(join(folder, 'atoll.json'), JSON.stringify(content))
  const startOne = (name: Name): Running =>
    start(['start', '--service', name.split('-')[0]!, '--instance', name, '--calls-port', String(ports[name])], env)
  // one for each
  const running = Object.fromEntries(instances.map((name) => [name, startOne(name)])) as Record<Name, Running>
  const gateway = start(['start', '--gateway', '--port', '0'], env)
  await Promise.all(instances.map((name) => running[name].ready()))
  const url = (await gateway.ready()).gatewayUrl!
  const town: Town = {
    running,
    url,
    broken,
    async restart(name) {
      running[name] = startOne(name)
      await running[name].ready()
    },
    atoll: (...args) => run(args, env),
    place: (sku, count = 1) =>
      fetch(`${url}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sku, count }),
      }),
    async stock(placed) {
      const position = placed?.headers.get('atoll-position')
      // an address alone is waited for shortly
      const response = await fetch(`${url}/stock`, { headers: position ? { 'atoll-position': position } : {} })
      const text = await response.text()
      assert.equal(response.status, 200, text)
      return JSON.parse(text) as readonly string[] // as its contract says
    },
    async ledger() {
      const { out, err } = await run(['ledger', '--json'], env)
      const rows = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, number> & { balanced: boolean })
      assert.ok(rows.length > 0, err)
      const sum = (word: string): number => rows.reduce((total, row) => total + row[word]!, 0)
      return {
        published: sum('published'),
        handled: sum('handled'),
        pending: sum('pending'),
        parked: sum('parked'),
        dead: sum('dead'),
        discarded: sum('discarded'),
        balanced: rows.every((row) => row.balanced),
      }
    },
  }
  for (const name of instances)
    await until(`${name} is ready`, async () => (await readiness(`http://127.0.0.1:${ports[name]}`)).ready)
  return town
}

/** Places order after order, so many at a time, until it is told to end. */
function orderOn(town: Town, buyers = 4): { acknowledged: string[]; failed: string[]; end(): Promise<void> } {
  const [acknowledged, failed]: [string[], string[]] = [[], []]
  let [count, isOver] = [0, false]
  async function buy(): Promise<void> {
    while (!isOver) {
      const sku = `sku-${count++}`
      const response = await town.place(sku)
      const text = await response.text()
      if (response.status === 200) acknowledged.push(sku)
      else failed.push(`${response.status} ${text}`)
    }
  }
  const all = Array.from({ length: buyers }, buy)
  return {
    acknowledged,
    failed,
    async end() {
      isOver = true
      await Promise.all(all)
    },
  }
}

/** Every acknowledged order has been shipped once, and every event is accounted for. */
async function assertShipped(town: Town, acknowledged: readonly string[]): Promise<void> {
  await until(
    'all is handled',
    async () => {
      const { pending, published, handled, discarded } = await town.ledger()
      return pending === 0 && published === handled + discarded
    },
    60_000,
  )
  const stock = await town.stock()
  assert.equal(new Set(stock).size, stock.length, 'an order was shipped twice')
  const shipped = new Set(stock)
  assert.deepEqual(
    acknowledged.filter((sku) => !shipped.has(`${sku} 1`)),
    [],
  )
  assert.equal((await town.ledger()).balanced, true)
}

describe('a system in several processes over PostgreSQL', () => {
  it('lets everybody read their own writes, whichever instances answer', () =>
    inTown(async (town) => {
      for (let index = 0; index < 30; index++) {
        const placed = await town.place(`sku-${index}`)
        assert.equal(placed.status, 200, await placed.text())
        const stock = await town.stock(placed)
        assert.ok(stock.includes(`sku-${index} 1`), stock.join())
      }
      await assertShipped(town, [])
    }))

  it('loses and doubles nothing when instances are killed', () =>
    inTown(async (town) => {
      const { acknowledged, failed, end } = orderOn(town)
      for (const name of ['warehouse-1', 'shop-1'] as const) {
        const before = acknowledged.length
        await until('it is under load', () => acknowledged.length > before + 50)
        await town.running[name].end('SIGKILL')
        const after = acknowledged.length
        await until('others go on', () => acknowledged.length > after + 50)
        await town.restart(name)
      }
      await end()
      for (const text of failed) assert.match(text, /^503 .*not known, and it was not sent again/)
      await assertShipped(town, acknowledged)
    }))

  it('hands the partitions of an instance that stands still to others when its lease has run out', () =>
    inTown(async (town) => {
      const { acknowledged, end } = orderOn(town)
      await until('it is under load', () => acknowledged.length > 50)
      town.running['warehouse-1'].signal('SIGSTOP')
      const placed = await Promise.all(
        Array.from({ length: 32 }, async (_, index) =>
          (await town.place(`late-${index}`)).status === 200 ? `late-${index} 1` : undefined,
        ),
      )
      const late = placed.filter((text) => text !== undefined) // one for every partition, as chance has it
      await until('the other one has handled all of them', async () => {
        const response = await fetch(`${town.url}/stock`)
        const stock = new Set(response.status === 200 ? ((await response.json()) as string[]) : [])
        return late.every((text) => stock.has(text))
      })
      town.running['warehouse-1'].signal('SIGCONT')
      const before = acknowledged.length
      await until('it goes on', () => acknowledged.length > before + 50)
      await end()
      await assertShipped(town, acknowledged)
    }))

  it('fails nobody in a rolling restart', () =>
    inTown(async (town) => {
      const { acknowledged, failed, end } = orderOn(town)
      for (const name of ['warehouse-1', 'shop-1'] as const) {
        const before = acknowledged.length
        await until('it is under load', () => acknowledged.length > before + 50)
        assert.equal((await town.running[name].end('SIGTERM')).code, 0)
        await town.restart(name)
      }
      const before = acknowledged.length
      await until('all are back', () => acknowledged.length > before + 50)
      await end()
      assert.deepEqual(failed, [])
      await assertShipped(town, acknowledged)
    }))

  it('can be looked into from outside, redriven where each partition is, and rebuilt while all instances run', () =>
    inTown(async (town) => {
      writeFileSync(town.broken, '')
      for (let index = 0; index < 3; index++) await town.place('broken', index)
      for (let index = 0; index < 20; index++) await town.place(`sku-${index}`)
      await until('it is dead', async () => (await town.ledger()).dead === 1 && (await town.ledger()).pending === 0)
      assert.match(
        (await town.atoll('dead-letters')).out,
        /order\.placed +broken +2 +2 +INTERNAL: this sku cannot be shipped/,
      )
      assert.match((await town.atoll('dead-letters', 'redrive')).out, /0 handled, 1 failed, 2 waiting/)
      rmSync(town.broken)
      assert.match(
        (await town.atoll('dead-letters', 'redrive', '--dry-run')).out,
        /dry run, nothing was changed: 3 handled/,
      )
      const { code, out, err } = await town.atoll('dead-letters', 'redrive')
      assert.deepEqual([code, /3 handled, 0 failed/.test(out)], [0, true], err)
      assert.match((await town.atoll('events', '--key', 'broken', '--json')).out, /"key":"broken"/)
      writeFileSync(town.broken, '')
      await town.place('broken', 3)
      await until('another is dead', async () => (await town.ledger()).dead === 1)
      const [letter] = (await town.atoll('dead-letters', '--json')).out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { id: string })
      rmSync(town.broken)
      const discarded = await town.atoll('dead-letters', 'discard', letter!.id, '--reason', 'sold out', '--by', 'ada')
      assert.equal(discarded.code, 0, discarded.err)
      assert.match(
        (await town.atoll('dead-letters', 'discard', letter!.id, '--reason', 'again', '--by', 'bob')).err,
        /was discarded already, by ada at .*: sold out/,
      )
      assert.match((await town.atoll('dead-letters', '--discarded')).out, /ada +sold out/)
      const rebuilt = await town.atoll('replay', 'warehouse.shelves')
      assert.match(rebuilt.out, /^warehouse\.shelves rebuilt from 24 events/, rebuilt.err)
      await town.place('after')
      await assertShipped(town, ['after'])
      assert.match((await town.atoll('map')).out, /order\.placed v1 → warehouse, warehouse\.shelves/)
    }))
})

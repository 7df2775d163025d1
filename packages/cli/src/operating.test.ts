import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fixture, inShell, type Shell } from '../test/command.ts'

const items = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('operating a system', () => {
  it('shows its events, by type and key, with the system running or not', () =>
    inShell(async ({ dev, run, data }) => {
      const { post, stop } = await dev()
      await post('/orders', { sku: 'tea', count: 2 })
      const running = await run('events', '--data', data, '--key', 'tea', '--json')
      assert.deepEqual(
        items(running.out).map(({ type, data }) => [type, data]),
        [['order.placed', '{"sku":"tea","count":2}']],
      )
      await stop()
      const stopped = await run('events', '--data', data, '--json')
      assert.deepEqual(
        items(stopped.out).map(({ key }) => key),
        ['seeded', 'tea'],
      )
      assert.deepEqual(items((await run('events', '--data', data, '--type', 'no.such', '--json')).out), [])
    }))

  it('only looks when it is asked a question while no system runs: nothing is handled, fired or seeded', () =>
    inShell(async ({ dev, run, data, broken }) => {
      const { post, stop } = await dev()
      writeFileSync(broken, '')
      await post('/orders', { sku: 'broken', count: 1 })
      await stop()
      rmSync(broken) // from here on a try would succeed
      const before = await run('ledger', '--data', data, '--json')
      const [row] = items(before.out).filter((line) => line['subscription'] === 'warehouse')
      assert.deepEqual([row!['handled'], row!['pending']], [1, 1])
      assert.equal((await run('dead-letters', '--data', data)).code, 0)
      assert.equal((await run('events', '--data', data)).code, 0)
      assert.equal((await run('ledger', '--data', data, '--json')).out, before.out)
      for (const left of ['{"path":"/nowhere/control.sock","pid":1}', '{"pa', '']) {
        writeFileSync(join(data, 'control.json'), left) // by a process that was killed, perhaps as it wrote
        assert.equal((await run('ledger', '--data', data, '--json')).out, before.out)
      }
      writeFileSync(join(data, 'seeding'), '') // as a first start leaves it that was cut off
      assert.equal((await run('ledger', '--data', data, '--json')).out, before.out)
      const replay = await run('replay', 'warehouse.shelves', '--data', data)
      assert.deepEqual([replay.code, /was cut off/.test(replay.err)], [2, true])
    }))

  it('accounts for every event', () =>
    inShell(async ({ dev, run, data }) => {
      const { get, stop } = await dev()
      await get('/stock')
      const { code, out } = await run('ledger', '--data', data)
      assert.equal(code, 0)
      assert.match(out, /✓ {2}order\.placed {2}warehouse +1 +1 +0 +0 +0 +0/)
      await stop()
    }))

  it('takes an event that fails from its first error to its redrive', () => inShell(deadLetterStory))

  it('discards a dead letter by name, says who did it, when and why, and lets what waits behind it go on', () =>
    inShell(async ({ dev, run, data, broken }) => {
      writeFileSync(broken, '')
      process.env['BROKEN'] = broken
      const { start } = await import('./start.ts')
      const { default: system } = await import('../test/fixture-system.ts')
      const first = await start(system, { data, port: 0, runtime: { attemptsMax: 1 } })
      for (const count of [1, 2])
        await fetch(`${first.url}/orders`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ sku: 'broken', count }),
        })
      await first.running.quiet()
      await first.stop()
      rmSync(broken)
      const { get, stop } = await dev()
      const [letter] = items((await run('dead-letters', '--data', data, '--json')).out) as [{ id: string }]
      for (const args of [
        [],
        ['--all'],
        ['--subscription', 'warehouse'],
        [letter.id, '--all', '--subscription', 'warehouse'],
        ['warehouse/shop/0/9999'],
      ]) {
        const refused = await run('dead-letters', 'discard', ...args, '--reason', 'none', '--data', data)
        assert.equal(refused.code, 2, args.join(' '))
      }
      assert.equal((await run('dead-letters', 'discard', letter.id, '--data', data)).code, 2, 'without a reason')
      const { code, out, err } = await run(
        'dead-letters',
        'discard',
        letter.id,
        '--reason',
        'sold out',
        '--by',
        'ada',
        '--data',
        data,
      )
      assert.deepEqual([code, out.includes(`discarded ${letter.id}`)], [0, true], err)
      assert.match((await run('dead-letters', '--discarded', '--data', data)).out, /broken +20\d\d-\S+Z +ada +sold out/)
      assert.match((await run('dead-letters', '--data', data)).out, /no dead letters/)
      const shown = await run('dead-letters', 'show', letter.id, '--data', data)
      assert.match(
        shown.out,
        /^warehouse\/\S+: order\.placed v1 of key broken, .*\ntried 1 times by warehouse, .*\ndiscarded by ada at 20\d\d-\S+Z: sold out\n/,
        shown.err,
      )
      const redriven = await run('dead-letters', 'redrive', letter.id, '--data', data)
      assert.deepEqual(
        [redriven.code, /was discarded already, by ada at 20\d\d-\S+Z: sold out/.test(redriven.err)],
        [2, true],
        redriven.err,
      )
      assert.deepEqual(await get('/stock'), ['seeded 1', 'broken 2'])
      assert.equal((await run('ledger', '--data', data)).code, 0)
      await stop()
    }))

  it('rebuilds a projection, with the system running or not', () =>
    inShell(async ({ dev, run, data }) => {
      const { stop } = await dev()
      assert.match(
        (await run('replay', 'warehouse.shelves', '--data', data)).out,
        /^warehouse\.shelves rebuilt from 1 events/,
      )
      await stop()
      assert.match(
        (await run('replay', 'warehouse.shelves', '--data', data)).out,
        /^warehouse\.shelves rebuilt from 1 events/,
      )
    }))

  it('names what there is when asked for what there is not', () =>
    inShell(async ({ dev, run, data }) => {
      const { stop } = await dev()
      const replay = await run('replay', 'nobody', '--data', data)
      assert.deepEqual([replay.code, /the projections are warehouse\.shelves/.test(replay.err)], [2, true])
      const effects = await run('replay', 'warehouse', '--data', data)
      assert.deepEqual([effects.code, /UNSUPPORTED: .*only projections/.test(effects.err)], [1, true])
      const show = await run('dead-letters', 'show', 'x', '--data', data)
      assert.deepEqual(
        [show.code, /there is no dead letter x; `atoll dead-letters` lists what there is/.test(show.err)],
        [2, true],
      )
      await stop()
      const nowhere = await run('ledger', '--data', `${data}-none`)
      assert.deepEqual([nowhere.code, /there is no data folder/.test(nowhere.err)], [2, true])
      assert.equal((await run('no-such-verb')).code, 2)
    }))

  it('outlives those who ask it, in whatever way they go', () =>
    inShell(async ({ dev, follow, data }) => {
      const { post, get, stop } = await dev()
      for (const signal of ['SIGKILL', 'SIGINT'] as const) {
        const follower = await follow('events', '--data', data, '--follow')
        const { code, err } = await follower.end(signal)
        if (signal === 'SIGINT') assert.deepEqual([code, err], [0, ''])
        await post('/orders', { sku: signal.toLowerCase(), count: 1 })
      }
      assert.deepEqual(await get('/stock'), ['seeded 1', 'sigkill 1', 'sigint 1'])
      await stop()
    }))

  it('ends when it is told to, also if its module would keep the process, and says what does', () =>
    inShell(async ({ follow, data }) => {
      const held = fileURLToPath(new URL('../test/fixture-held.ts', import.meta.url))
      const { code, out, err } = await (await follow('dev', held, '--data', data, '--port', '0')).end('SIGTERM')
      assert.equal(code, 0)
      assert.match(out, /stopped; everything that was acknowledged is on disk/)
      assert.match(err, /"held":\[.*"Timeout".*would keep this process/)
    }))

  it('says what is wrong with a module that it cannot load, and where', () =>
    inShell(async ({ run, data }) => {
      writeFileSync(`${data}.ts`, `import { nothing } from './nowhere.ts'`)
      const { code, err } = await run('dev', `${data}.ts`)
      assert.equal(code, 2)
      assert.match(err, /cannot be loaded: Cannot find module .*nowhere\.ts/)
      assert.match((await run('--version')).out, /^\d+\.\d+\.\d+\n$/)
    }))

  it('explains itself', () =>
    inShell(async ({ run }) => {
      for (const args of [
        [],
        ['dev'],
        ['map'],
        ['events'],
        ['replay'],
        ['dead-letters'],
        ['dead-letters', 'redrive'],
        ['ledger'],
      ]) {
        const { code, out } = await run(...args, '--help')
        assert.deepEqual([code, out.startsWith('Usage: atoll')], [0, true])
      }
    }))

  it('draws the flow of events, as text, as a picture, and as data', () =>
    inShell(async ({ run, data }) => {
      const text = await run('map', fixture)
      assert.match(text.out, /order\.placed v1 → warehouse, warehouse\.shelves/)
      const svg = `${data}.svg`
      assert.equal((await run('map', fixture, '--svg', svg)).code, 0)
      const flow = JSON.parse((await run('map', fixture, '--json')).out) as { edges: unknown }
      assert.deepEqual(flow.edges, [
        { source: 'shop', event: 'order.placed', subscription: 'warehouse', service: 'warehouse', kind: 'handle' },
        {
          source: 'shop',
          event: 'order.placed',
          subscription: 'warehouse.shelves',
          service: 'warehouse',
          kind: 'project',
        },
      ])
    }))
})

/**
 * Dead letters need eight tries, about thirteen seconds by the clock; here the system gets one, through its own module.
 */
async function deadLetterStory({ dev, run, data, broken }: Shell): Promise<void> {
  writeFileSync(broken, '')
  process.env['BROKEN'] = broken
  const { start } = await import('./start.ts')
  const { default: system } = await import('../test/fixture-system.ts')
  const first = await start(system, { data, port: 0, runtime: { attemptsMax: 1 } })
  for (const count of [1, 2, 3])
    await fetch(`${first.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sku: 'broken', count }),
    })
  await fetch(`${first.url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sku: 'tea', count: 9 }),
  })
  await first.running.quiet()
  await first.stop()

  const second = await dev()
  assert.deepEqual(await second.get('/stock'), ['seeded 1', 'tea 9'])
  const [letter] = items((await run('dead-letters', '--data', data, '--json')).out) as [
    { id: string; parkedBehind: number; error: { message: string } },
  ]
  assert.deepEqual([letter.parkedBehind, letter.error.message], [2, 'this sku cannot be shipped'])
  assert.match(
    (await run('dead-letters', 'show', letter.id, '--data', data)).out,
    /2 later events of its key wait behind it[\s\S]*this sku cannot be shipped/,
  )
  const failed = await run('dead-letters', 'redrive', '--data', data)
  assert.deepEqual([failed.code, /0 handled, 1 failed, 2 waiting/.test(failed.out)], [1, true])
  rmSync(broken)
  assert.match(
    (await run('dead-letters', 'redrive', '--dry-run', '--data', data)).out,
    /dry run, nothing was changed: 3 handled/,
  )
  assert.deepEqual(await second.get('/stock'), ['seeded 1', 'tea 9'])
  const redriven = await run('dead-letters', 'redrive', letter.id, '--data', data)
  assert.deepEqual([redriven.code, /3 handled, 0 failed/.test(redriven.out)], [0, true])
  assert.deepEqual(await second.get('/stock'), ['seeded 1', 'tea 9', 'broken 1', 'broken 2', 'broken 3'])
  assert.equal((await run('ledger', '--data', data)).code, 0)
  await second.stop()
}

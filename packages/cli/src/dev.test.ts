import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { fixture, inShell } from '../test/command.ts'
import { inFleet } from '../test/fleet.ts'

describe('atoll dev', () => {
  it('says in one line when it is ready, where, how fast, and where the data lies', () =>
    inShell(async ({ dev }) => {
      const { readyLine, stop } = await dev()
      assert.match(
        readyLine,
        /^fixture ready at http:\/\/localhost:\d+ in \d+\.\d s — data in \/\S+data, with demo data$/,
      )
      const { code, out } = await stop('SIGINT')
      assert.deepEqual([code, out], [0, 'draining …\nstopped; everything that was acknowledged is on disk\n'])
    }))

  it('says what keeps it from being ready', () =>
    inShell(async ({ dev, data }) => {
      await (await dev()).stop()
      for (const name of readdirSync(data)) if (name.startsWith('shop.')) rmSync(join(data, name))
      const { readyLine, stop } = await dev()
      assert.match(
        readyLine,
        /^fixture runs at http:\/\/localhost:\d+ and is not ready \(the relay of shop is halted: STORE_OUTDATED\) — data in \/\S+data$/,
      )
      await stop()
    }))

  it('takes of atoll.json and the environment what holds for one process, and says what does not', () =>
    inFleet(async ({ start, run, folder }) => {
      const settings = {
        system: fixture,
        store: { url: 'sqlite:here' },
        log: { url: 'nats://nowhere:4222' },
        calls: { port: 4101 },
        gateway: { port: 0 },
        runtime: { attemptsMax: 1, partitions: 4 },
      }
      writeFileSync(join(folder, 'atoll.json'), JSON.stringify(settings))
      const running = start(['dev'], {
        BROKEN: folder,
        ATOLL_GATEWAY_HOST: '0.0.0.0',
        ATOLL_LOG_URL: 'nats://elsewhere:4222',
      }) // it is there, so the warehouse is broken
      const { url, data } = (await running.ready()) as { url: string; data: string }
      assert.equal(data, join(folder, 'here'))
      const said = JSON.parse(running.log().split('\n')[0]!) as { settings: string[] }
      assert.deepEqual(said.settings.sort(), [
        'calls.port (atoll.json)',
        'calls.secret (ATOLL_CALLS_SECRET)',
        'gateway.host (ATOLL_GATEWAY_HOST)',
        'log.url (ATOLL_LOG_URL)',
        'runtime.partitions (atoll.json)',
      ])
      await fetch(`${url}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sku: 'broken', count: 1 }),
      })
      await until('the first try was the last', () => /is a dead letter of warehouse/.test(running.log()))
      await running.end()
      const examined = await run(['doctor', '--data', data])
      assert.deepEqual(
        [examined.code, /sqlite/i.test(examined.out), /nats/i.test(examined.out)],
        [0, true, false],
        examined.err,
      )
      assert.match(
        (await run(['doctor', '--data', 'nowhere'])).err,
        /^COMMAND_USAGE: there is no data folder .*nowhere; name one .* with --data/,
      )
      mkdirSync(join(folder, 'empty'))
      assert.match(
        (await run(['doctor', '--data', 'empty'])).err,
        /^COMMAND_USAGE: .*empty does not say which system it belongs to; name the module .* --data/,
      )
      assert.match(
        (await run(['doctor', '--data', data, '--config', 'atoll.json'])).err,
        /^COMMAND_USAGE: give --data or --config/,
      )
      writeFileSync(join(folder, 'atoll.json'), '{ "gateway": { "prot": 1 } }')
      assert.match((await run(['dev', fixture])).err, /^CONFIG_INVALID: gateway\.prot in atoll\.json/)
    }))

  it('seeds an empty folder, keeps what is there, and begins anew when told to', () =>
    inShell(async ({ dev }) => {
      const first = await dev()
      await first.post('/orders', { sku: 'tea', count: 2 })
      assert.deepEqual(await first.get('/stock'), ['seeded 1', 'tea 2'])
      await first.stop()
      const second = await dev()
      assert.deepEqual(await second.get('/stock'), ['seeded 1', 'tea 2'])
      await second.stop()
      const third = await dev('--fresh')
      assert.deepEqual(await third.get('/stock'), ['seeded 1'])
      await third.stop()
    }))

  it('keeps every acknowledged order when it is killed', () =>
    inShell(async ({ dev }) => {
      const first = await dev()
      for (let count = 1; count <= 20; count++)
        assert.equal((await first.post('/orders', { sku: 'tea', count })).status, 200)
      await first.stop('SIGKILL')
      const second = await dev()
      assert.deepEqual(await second.get('/stock'), [
        'seeded 1',
        ...Array.from({ length: 20 }, (_, index) => `tea ${index + 1}`),
      ])
      await second.stop()
    }))

  it('refuses a data folder in use, a port that is taken, a module that is not there or no system', () =>
    inShell(async ({ dev, run, data }) => {
      const { url, stop } = await dev()
      const inUse = await run('dev', fixture, '--data', data, '--port', '0')
      assert.deepEqual([inUse.code, inUse.out], [1, ''])
      assert.match(inUse.err, /^DATA_IN_USE: .* is in use by process \d+/)
      const taken = await run('dev', fixture, '--data', `${data}-2`, '--port', new URL(url).port)
      assert.equal(taken.code, 1)
      assert.match(taken.err, /^PORT_TAKEN: port \d+ is taken; .* \(--port, or PORT\)/)
      await stop()
      const missing = await run('dev', 'nowhere.ts', '--data', data)
      assert.deepEqual([missing.code, /^COMMAND_USAGE: there is no file .*nowhere\.ts/.test(missing.err)], [2, true])
      const other = await run('dev', join(import.meta.dirname, 'table.ts'), '--data', data)
      assert.deepEqual([other.code, /has no system as its default export/.test(other.err)], [2, true])
      for (const none of [import.meta.dirname, join(import.meta.dirname, '../README.md')]) {
        const { code, err } = await run('dev', none, '--data', data)
        assert.deepEqual(
          [code, err],
          [
            2,
            `COMMAND_USAGE: ${none} is no module of TypeScript or JavaScript; name the one whose default export is your system, such as src/system.ts\n`,
          ],
        )
      }
    }))

  it('takes decimal digits for a number on the command line, as every command does, and nothing else', () =>
    inShell(async ({ run, data }) => {
      for (const args of [['dev', fixture, '--data', data], ['up', fixture, '--data', data], ['registry']]) {
        for (const given of ['0x1F', '1e3', '', '-1']) {
          const { code, out, err } = await run(...args, `--port=${given}`)
          assert.deepEqual([code, out], [2, ''])
          assert.match(
            err,
            new RegExp(
              `^CONFIG_INVALID: --port.*: expected a port from 0 to 65535; 0 takes a free one, not "${given}"\\n$`,
            ),
          )
        }
      }
      for (const given of ['two', '1e1', '0', '101']) {
        const { code, err } = await run('up', fixture, '--data', data, `--instances=${given}`)
        assert.deepEqual(
          [code, err],
          [2, `CONFIG_INVALID: --instances: expected a whole number from 1 to 100, not "${given}"\n`],
        )
      }
    }))

  it('keeps off the data of another system', () =>
    inShell(async ({ dev, run, data }) => {
      await (await dev()).stop()
      const hello = join(import.meta.dirname, '../../../examples/hello/system.ts')
      const before = readdirSync(data)
      for (const more of [[], ['--fresh']]) {
        const { code, err } = await run('dev', hello, '--data', data, '--port', '0', ...more)
        assert.deepEqual(
          [code, /holds the data of system fixture, and this is system hello/.test(err), /--fresh/.test(err)],
          [2, true, false],
          err,
        )
        assert.deepEqual(readdirSync(data), before)
      }
      await (await dev()).stop()
    }))

  it('refuses a damaged file by name, says what to do, and leaves it as it is', () =>
    inShell(async ({ dev, run, data }) => {
      await (await dev()).stop()
      for (const name of ['shop.db', 'log.db']) {
        const file = join(data, name)
        const intact = readFileSync(file)
        truncateSync(file, 5_000)
        const damaged = readFileSync(file)
        const { code, err } = await run('dev', fixture, '--data', data, '--port', '0')
        assert.equal(code, 1)
        assert.match(err, new RegExp(`STORE_CORRUPT: .*${name} is damaged`))
        assert.match(err, /restore/)
        assert.deepEqual(readFileSync(file), damaged)
        writeFileSync(file, intact)
      }
      await (await dev()).stop()
    }))

  it('does not delete what is not its own', () =>
    inShell(async ({ dev, run, data }) => {
      await (await dev()).stop()
      writeFileSync(join(data, 'diary.txt'), 'dear diary')
      const { code, err } = await run('dev', fixture, '--data', data, '--port', '0', '--fresh')
      assert.deepEqual([code, /diary\.txt, which is not Atoll's/.test(err)], [2, true])
      assert.equal(readFileSync(join(data, 'diary.txt'), 'utf8'), 'dear diary')
    }))
})

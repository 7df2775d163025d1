import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findPorts } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { desk, fixtureShop, inFleet } from '../test/fleet.ts'

/** Engines of which nobody is there: processes wait for them. */
const AWAY = {
  ATOLL_STORE_URL: 'postgres://u:hush@127.0.0.1:1/x',
  ATOLL_LOG_URL: 'postgres://u:hush@127.0.0.1:1/x',
  PORT: '0',
}

describe('atoll up', () => {
  it('ends, with what a process said and once, when what is configured cannot work', () =>
    inFleet(async ({ run }) => {
      const { code, out, err } = await run(['up', fixtureShop], { ...AWAY, ATOLL_CALLS_HOST: '127.0.0.256' })
      assert.deepEqual([code, out], [2, ''], err)
      assert.match(err, /^CONFIG_INVALID: \w+-1 cannot run as it is configured: .*cannot listen at 127\.0\.0\.256.*\n$/)
    }))

  it('starts a process that crashes again, later each time, and passes on what its services print', () =>
    inFleet(async ({ start, folder }) => {
      const module = join(folder, 'system.ts')
      writeFileSync(
        module,
        `if (process.argv.includes('start')) {\n  console.log('a word from the desk')\n  console.log('null')\n  process.exit(7)\n}\nexport { default } from ${JSON.stringify(desk)}`,
      )
      const up = start(['up', module], AWAY)
      await until('it has tried three times', () =>
        /desk-1: ended with 7; it is started again in 800 ms/.test(up.log()),
      )
      for (const delayMs of [200, 400])
        assert.match(up.log(), new RegExp(`desk-1: ended with 7; it is started again in ${delayMs} ms`))
      assert.match(up.log(), /desk-1: a word from the desk/)
      assert.equal((await up.end()).code, 0)
    }))

  it('starts one later each time that ends as soon as it is ready', () =>
    inFleet(async ({ start, folder }) => {
      const module = join(folder, 'system.ts')
      writeFileSync(
        module,
        `if (process.argv.includes('--service')) {\n  console.log(JSON.stringify({ ready: true }))\n  process.exit(0)\n}\nexport { default } from ${JSON.stringify(desk)}`,
      )
      const up = start(['up', module], AWAY)
      await until('it has tried three times', () =>
        /desk-1: ended with 0; it is started again in 800 ms/.test(up.log()),
      )
      assert.equal((await up.end()).code, 0)
    }))

  it('leaves no process behind when it is killed', () =>
    inFleet(async ({ start, folder }) => {
      const [module, note] = [join(folder, 'system.ts'), join(folder, 'pid')]
      writeFileSync(
        module,
        `import { writeFileSync } from 'node:fs'\nif (process.argv.includes('--service')) writeFileSync(${JSON.stringify(note)}, String(process.pid))\nexport { default } from ${JSON.stringify(desk)}`,
      )
      const up = start(['up', module], AWAY)
      await until('its process waits for the engines', () => /desk-1: .*will try again/.test(up.log()))
      const pid = Number(readFileSync(note, 'utf8'))
      try {
        await up.end('SIGKILL')
        await until('its process has ended', () => !isAlive(pid))
      } finally {
        if (isAlive(pid)) process.kill(pid, 'SIGKILL')
      }
    }))

  it('trusts its own processes alone: it makes a secret for them, which lies in no file, no log and no list of processes', () =>
    inFleet(async ({ start, folder }) => {
      const [module, note] = [join(folder, 'system.ts'), join(folder, 'told.json')]
      const telling = `writeFileSync(${JSON.stringify(note)}, JSON.stringify([process.env.ATOLL_CALLS_SECRET, process.argv, process.execArgv, process.title]))`
      writeFileSync(
        module,
        `import { writeFileSync } from 'node:fs'\nif (process.argv.includes('--service')) ${telling}\nexport { default } from ${JSON.stringify(desk)}`,
      )
      const port = await findPorts(1)
      const up = start(['up', module], { ...AWAY, ATOLL_CALLS_SECRET: '', ATOLL_CALLS_PORT: String(port) })
      await until('its process waits for the engines', () => /desk-1: .*will try again/.test(up.log()))
      // as the module writes it
      const [secret, ...shown] = JSON.parse(readFileSync(note, 'utf8')) as [string, ...unknown[]]
      rmSync(note)
      assert.match(secret, /^[0-9a-f]{64}$/)
      const call = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ system: 'desks', input: {}, remainingMs: 1_000 }),
      }
      const url = `http://127.0.0.1:${port}/call/desk.all`
      const known = { ...call.headers, authorization: `Bearer ${secret}` }
      assert.deepEqual(
        [(await fetch(url, call)).status, (await fetch(url, { ...call, headers: known })).status],
        [401, 503],
      )
      const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      for (const { parentPath, name } of files) assert.ok(!readFileSync(join(parentPath, name)).includes(secret), name)
      const { code, log } = await up.end()
      assert.deepEqual([code, log.includes(secret), JSON.stringify(shown).includes(secret)], [0, false, false])
    }))

  it('refuses what processes cannot share, before it starts any', () =>
    inFleet(async ({ run, folder }) => {
      for (const [env, why] of [
        [{}, /log\.url is embedded/],
        [{ ATOLL_LOG_URL: AWAY.ATOLL_LOG_URL }, /store\.url names a folder/],
        [
          { ...AWAY, ATOLL_DISCOVERY_STATIC: 'desk=http://127.0.0.1:1' },
          /discovery\.static \(ATOLL_DISCOVERY_STATIC\) .*leave it out/,
        ],
      ] as const) {
        const { code, err } = await run(['up', desk], env)
        assert.deepEqual([code, err.split('\n').length], [2, 2], err)
        assert.match(err, why)
      }
      assert.ok(!existsSync(join(folder, 'data')))
    }))

  it('is found by other commands of its folder, without a configuration and with one that names its engines', () =>
    inFleet(async ({ start, run, folder }) => {
      const up = start(['up', fixtureShop], AWAY)
      await until('it can be asked', () => existsSync(join(folder, 'data/fixture/control.json')))
      const asked = await run(['replay', 'nobody'])
      assert.deepEqual(
        [asked.code, /there is no subscription nobody; the projections are warehouse\.shelves/.test(asked.err)],
        [2, true],
        asked.err,
      )
      const ledger = await run(['ledger'])
      assert.deepEqual(
        [ledger.code, ledger.out, /UNAVAILABLE: PostgreSQL at 127\.0\.0\.1:1/.test(ledger.err)],
        [1, '', true],
        ledger.err,
      )
      const configured = await run(['replay', 'nobody'], { ...AWAY, ATOLL_SYSTEM: fixtureShop })
      assert.deepEqual(
        [configured.code, /there is no subscription nobody/.test(configured.err)],
        [2, true],
        configured.err,
      )
      const second = await run(['up', fixtureShop], AWAY)
      assert.deepEqual(
        [second.code, /^DATA_IN_USE: .*fixture is in use by process \d+/.test(second.err)],
        [1, true],
        second.err,
      )
      const { code, log } = await up.end()
      assert.deepEqual([code, log.includes('hush')], [0, false])
      const gone = await run(['ledger', '--data', 'data/fixture'])
      assert.deepEqual(
        [
          gone.code,
          /no process runs that has .*on an engine: start it again, or give the configuration/.test(gone.err),
        ],
        [2, true],
        gone.err,
      )
    }))
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false // there is no such process any more
  }
}

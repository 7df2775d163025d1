import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fixtureShop, inFleet, type Environment } from '../../test/fleet.ts'

/** Nobody is there. A command that makes something would have made it before it finds out. */
const NO_LOG = 'nats://127.0.0.1:1'

describe('a command that only looks', () => {
  it('makes no store, and says where it looked and what to do, if that of a service is not there', () =>
    inFleet(async ({ run, folder }) => {
      for (const [env, place] of [
        [{}, 'data/fixture'],
        [{ ATOLL_STORE_URL: 'sqlite:elsewhere' }, 'elsewhere'],
      ] as const) {
        for (const args of [['ledger'], ['dead-letters'], ['dead-letters', 'redrive']]) {
          const { code, out, err } = await run(args, {
            ATOLL_SYSTEM: fixtureShop,
            ATOLL_LOG_URL: NO_LOG,
            ATOLL_DISCOVERY_STATIC: 'shop=http://127.0.0.1:1',
            ...env,
          })
          assert.deepEqual([code, out], [2, ''], args.join(' '))
          assert.match(err, /^CONFIG_INVALID: there is no store of shop, warehouse in /)
          assert.ok(
            err.includes(join(realpathSync(folder), place)) && /--config <file>/.test(err) && /--data/.test(err),
            err,
          )
          assert.deepEqual(readdirSync(folder), [])
        }
      }
    }))

  it('says nothing of a system on one machine, of which the store of a service is gone', () =>
    inFleet(async ({ start, run, folder }) => {
      const dev = start(['dev', fixtureShop, '--port', '0'])
      await dev.ready()
      await dev.end()
      const store = join(folder, 'data/fixture/warehouse.db')
      for (const suffix of ['', '-wal', '-shm']) rmSync(store + suffix, { force: true })
      const { code, out, err } = await run(['ledger'])
      assert.deepEqual([code, out, existsSync(store)], [2, '', false])
      assert.match(err, /there is no store of warehouse in .*data\/fixture/)
    }))

  it('does not take a folder that it finds for the engines that the environment names', () =>
    inFleet(async ({ start, run }) => {
      const dev = start(['dev', fixtureShop, '--port', '0'])
      await dev.ready()
      const refused = async (env: Environment, why: RegExp): Promise<void> => {
        const { code, out, err } = await run(['ledger'], { ATOLL_SYSTEM: fixtureShop, ...env })
        assert.deepEqual([code, out], [2, ''], err)
        assert.match(err, why)
      }
      await refused(
        { ATOLL_LOG_URL: NO_LOG, ATOLL_STORE_URL: 'sqlite:elsewhere' },
        /no store of shop, warehouse in sqlite:.*elsewhere/,
      )
      await refused({ ATOLL_STORE_URL: 'postgres://127.0.0.1:1/x' }, /log\.url is embedded/)
      await refused({ ATOLL_LOG_URL: NO_LOG }, /process \d+ has .*fixture, and its log is embedded, not nats:/)
      await dev.end()
      await refused({ ATOLL_LOG_URL: NO_LOG }, /belong to the log that lies there with them, and not to nats:/)
    }))

  it('says of a folder that is no data folder that no system has run there, and makes nothing in it', () =>
    inFleet(async ({ run, folder }) => {
      mkdirSync(join(folder, 'docs'))
      for (const command of ['ledger', 'events', 'dead-letters']) {
        const { code, err } = await run([command, '--data', 'docs'])
        assert.deepEqual(
          [
            code,
            /^COMMAND_USAGE: no system has run in .*docs; name the data folder of one with --data/.test(err),
            /start/.test(err),
          ],
          [2, true, false],
          err,
        )
      }
      assert.deepEqual(readdirSync(join(folder, 'docs')), [])
    }))

  it('finds the only data folder below data/ by itself, as a doctor, too', () =>
    inFleet(async ({ start, run }) => {
      assert.match(
        (await run(['doctor'])).err,
        /^COMMAND_USAGE: there is no data folder below .*data; name one with --data/,
      )
      const dev = start(['dev', fixtureShop, '--port', '0'])
      await dev.ready()
      await dev.end()
      for (const command of ['ledger', 'doctor']) {
        const { code, err } = await run([command])
        assert.deepEqual([code, err], [0, ''])
      }
    }))

  it('is the doctor, too: a first start after it is a first start', () =>
    inFleet(async ({ run, folder }) => {
      const { code, out } = await run(['doctor', fixtureShop])
      assert.deepEqual([code, /no setting breaks a promise/.test(out)], [0, true])
      assert.ok(!existsSync(join(folder, 'data')))
    }))
})

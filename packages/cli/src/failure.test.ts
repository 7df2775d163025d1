import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { desk, inFleet } from '../test/fleet.ts'
import { failureText } from './failure.ts'

describe('a command that fails', () => {
  it('says why in one line, and shows no stack for what is known', () =>
    inFleet(async ({ run }) => {
      const away = { ATOLL_STORE_URL: 'postgres://127.0.0.1:1/x', ATOLL_LOG_URL: 'postgres://127.0.0.1:1/x' }
      for (const [args, env, why] of [
        [['doctor', desk], away, /^UNAVAILABLE: PostgreSQL at 127\.0\.0\.1:1/],
        [
          ['start', desk, '--calls-port', '1'],
          { ATOLL_CALLS_HOST: '127.0.0.256' },
          /^CONFIG_INVALID: cannot listen at 127\.0\.0\.256:1/,
        ],
      ] as const) {
        const { code, err } = await run(args, env)
        assert.notEqual(code, 0)
        assert.match(err, why)
        assert.equal(err.trimEnd().split('\n').length, 1, err)
      }
    }))

  it('shows where, for what nobody foresaw, and where a module does not load', () =>
    inFleet(async ({ run, folder }) => {
      const text = failureText(AtollError.from(new TypeError('x is not a function')))
      assert.match(text, /^TypeError: x is not a function\n +at /)
      assert.equal(text.split('x is not a function').length, 2)
      const module = join(folder, 'system.ts')
      writeFileSync(module, 'const nothing = undefined\nnothing.at(0)\n')
      const { code, err } = await run(['start', module])
      assert.deepEqual(
        [code, /^COMMAND_USAGE: .*system\.ts cannot be loaded: TypeError: .*\n +at .*system\.ts:2:/.test(err)],
        [2, true],
        err,
      )
    }))
})

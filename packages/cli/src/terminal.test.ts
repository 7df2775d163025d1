import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fixture, inShell, type Ended } from '../test/command.ts'
import { inFleet } from '../test/fleet.ts'
import { noteSystem } from './note.ts'
import { start } from './start.ts'

/** Clears the screen, turns the text around, and poses as a line of ours. */
const hostile = 'broken\u001b[2J\u009b31m\u202e\r\n2026-01-01T00:00:00.000Z  all is well'

/** What a terminal would obey, or hide. */
function obeyed({ out, err }: Pick<Ended, 'out' | 'err'>): string[] {
  return `${out}${err}`.match(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu) ?? []
}

describe('a terminal', () => {
  it('obeys nothing that others wrote into keys, data and errors, and sees no line that is not ours, whatever command shows it', () =>
    inShell(async ({ run, data, broken }) => {
      writeFileSync(broken, '')
      process.env['BROKEN'] = broken
      const { default: system } = await import('../test/fixture-system.ts')
      const { url, running, stop } = await start(
        { ...system, seed: undefined },
        { data, port: 0, runtime: { attemptsMax: 1 } },
      )
      const placed = await fetch(`${url}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sku: hostile, count: 1 }),
      })
      assert.equal(placed.status, 200)
      await running.quiet()
      await stop()
      noteSystem(data, { module: fixture, system: 'fixture' })

      const [letter] = (await run('dead-letters', '--data', data, '--json')).out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { id: string; event: { key: string }; error: { message: string } })
      assert.deepEqual(
        [letter!.event.key, letter!.error.message],
        [hostile, `this sku cannot be shipped${hostile.slice('broken'.length)}`],
        'it means the same',
      )
      const lines: Readonly<Record<string, number>> = {
        events: 1,
        'events --json': 1,
        'dead-letters': 2,
        'dead-letters --json': 1,
        ledger: 3,
      }
      for (const [command, count] of Object.entries(lines)) {
        const ended = await run(...command.split(' '), '--data', data)
        assert.deepEqual([ended.code, obeyed(ended), ended.out.trimEnd().split('\n').length], [0, [], count], command)
      }
      for (const args of [
        ['dead-letters', 'show', letter!.id],
        ['dead-letters', 'redrive'],
        ['dead-letters', 'redrive', '--json'],
        ['dead-letters', 'show', hostile],
        ['replay', hostile],
      ]) {
        const ended = await run(...args, '--data', data)
        assert.deepEqual(obeyed(ended), [], args.join(' '))
        assert.doesNotMatch(`${ended.out}${ended.err}`, /^2026-01-01/m, args.join(' '))
        assert.match(`${ended.out}${ended.err}`, /\\u001b\[2J/, args.join(' '))
      }
      const dev = await run('dev', hostile)
      assert.deepEqual([dev.code, obeyed(dev)], [2, []])
    }))

  it('obeys nothing, and learns no password, of an error that nobody catches and that ends the process', () =>
    inFleet(async ({ start }) => {
      const running = start(['dev', poison, '--port', '0'])
      const { url } = await running.ready()
      await fetch(`${url}/notes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ id: withPassword, how: 'uncaught' }),
      }).catch(() => undefined) // it may end first
      await running.ended
      const { code, log } = await running.end()
      assertSaid(log, 'Error: cannot take ')
      assert.match(log, /"handling":"notes on note\.taken"/)
      assert.equal(code, 1)
    }))

  it('obeys nothing, and learns no password, of a rejection that nobody is to blame for and that ends the process', () =>
    inFleet(async ({ run }) => {
      const { code, err } = await run(['dev', poison, '--port', '0'], { STRAY_OF_NOBODY: withPassword })
      assertSaid(err, 'Error: ')
      assert.equal(code, 1)
    }))
})

const poison = join(import.meta.dirname, '../test/fixture-poison.ts')
const withPassword = `${hostile} at postgres://ann:hush@db/x`

function assertSaid(err: string, begin: string): void {
  assert.deepEqual(obeyed({ out: '', err }), [])
  assert.match(err, new RegExp(String.raw`^${begin}broken\\u001b\[2J\\u009b31m\\u202e`, 'm'))
  assert.match(err, /\n {2} +at .*fixture-poison\.ts/)
  assert.match(err, /postgres:\/\/ann:\*\*\*@db/)
  assert.doesNotMatch(err, /hush|^2026-01-01|Node\.js v/m)
}

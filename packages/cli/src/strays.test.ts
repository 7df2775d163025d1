import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { inFleet, type Fleet, type Running } from '../test/fleet.ts'

const poison = join(import.meta.dirname, '../test/fixture-poison.ts')

interface Line {
  readonly msg: string
  readonly key?: string
  readonly handling?: string
  readonly error?: { readonly message: string }
  readonly stack?: readonly string[]
}

const linesOf = (log: string): Line[] =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line) // JSON, as it is no terminal

async function take(url: string, id: string, how: string): Promise<void> {
  const { status } = await fetch(`${url}/notes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, how }),
  })
  assert.ok(status < 300, `${status}`)
}

async function isAlive(url: string): Promise<boolean> {
  return ((await (await fetch(`${url}/other`)).json()) as { alive: boolean }).alive // as its contract says
}

/** A line of the log that says this of a note. */
async function lineOf(running: Running, says: RegExp, key: string): Promise<Line> {
  let found: Line | undefined
  await until(
    `the log says ${says} of ${key}`,
    () => (found = linesOf(running.log()).find((line) => says.test(line.msg) && line.key === key)) !== undefined,
  )
  return found!
}

describe('a rejection that nobody awaits', () => {
  it('fails the try of the handler that left it, with that error, and takes nobody else down', () =>
    inFleet(async ({ start }) => {
      const running = start(['dev', poison, '--port', '0'])
      const { url } = await running.ready()
      await take(url!, 'a', 'stray')
      await take(url!, 'b', 'nothing')
      const line = await lineOf(running, /failed in notes; it will be tried again/, 'a')
      assert.match(line.error!.message, /a stray before the commit/)
      assert.equal(await isAlive(url!), true)
      assert.equal((await running.end()).code, 0)
    }))

  it('is logged with its event when that has committed, and fails a query that has not answered', () =>
    inFleet(async ({ start }) => {
      const running = start(['dev', poison, '--port', '0'])
      const { url } = await running.ready()
      await take(url!, 'a', 'stray after')
      const line = await lineOf(running, /nobody awaits, after its outcome was decided/, 'a')
      assert.match(line.error!.message, /a stray after the commit/)
      assert.equal((await fetch(`${url}/stray`)).status, 500)
      assert.equal(await isAlive(url!), true)
      assert.equal((await running.end()).code, 0)
    }))

  it('ends the process when nobody can be blamed for it', () =>
    inFleet(async ({ run }) => {
      const { code, err } = await run(['dev', poison, '--port', '0'], { STRAY_OF_NOBODY: 'a stray of nobody' })
      assert.equal(code, 1)
      assert.match(err, /a stray of nobody/)
    }))
})

describe('a handler that never lets go', () => {
  it('is found by the watchdog, which says where it was and ends the process; and its event is a dead letter in the end', () =>
    inFleet(async (fleet) => {
      const start = (): Running => launch(fleet)
      const first = start()
      const { gatewayUrl } = await first.ready()
      await take(gatewayUrl!, 'a', 'loop')
      const line = await lineOf(first, /as long as loopStallMsMax says/, 'a')
      assert.equal(line.handling, 'notes on note.taken')
      assert.match(line.stack![0]!, /spinForEver \(file:.*fixture-poison\.ts:\d+/)
      for (let ends = 1; ends < 3; ends++) await lineOf(start(), /as long as loopStallMsMax says/, 'a')
      const last = start()
      const alive = (await last.ready()).gatewayUrl!
      await lineOf(last, /is a dead letter of notes/, 'a')
      assert.equal(await isAlive(alive), true)
      assert.equal((await last.end()).code, 0)
    }))

  it('is found as well in a statement without end, which nobody can interrupt', () =>
    inFleet(async (fleet) => {
      const isEnded = (running: Running): Promise<void> =>
        until('the process is ended', () =>
          /no JavaScript, such as a statement without end.*the process is ended/.test(running.log()),
        )
      const first = launch(fleet)
      const { gatewayUrl } = await first.ready()
      await take(gatewayUrl!, 'a', 'statement')
      await isEnded(first)
      for (let ends = 1; ends < 3; ends++) await isEnded(launch(fleet))
      const last = launch(fleet)
      const alive = (await last.ready()).gatewayUrl!
      assert.match((await lineOf(last, /is a dead letter of notes/, 'a')).error!.message, /PROCESS_ENDED/)
      assert.equal(await isAlive(alive), true)
      assert.equal((await last.end()).code, 0)
    }))
})

function launch({ start, folder }: Fleet): Running {
  return start(
    ['start', poison, '--service', 'notes', '--service', 'other', '--gateway', '--port', '0', '--calls-port', '0'],
    {
      ATOLL_STORE_URL: `sqlite:${join(folder, 'data')}`,
      ATOLL_LOOP_STALL_MS_MAX: '2000',
      ATOLL_RUNTIME_ATTEMPTS_MAX: '1',
      ATOLL_INSTANCE: 'one', // it takes its leases back at once
    },
  )
}

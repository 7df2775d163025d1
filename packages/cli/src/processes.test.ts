import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findPorts } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import {
  desk,
  fixtureShop,
  inFleet,
  readiness,
  secret,
  type Environment,
  type Fleet,
  type Running,
} from '../test/fleet.ts'
import { noteSystem } from './note.ts'

/** Two instances of the desk, each with notes of its own, and a gateway before them. */
async function twoDesks(fleet: Fleet): Promise<Desks> {
  const names = ['a', 'b'] as const
  const ports = { a: await findPorts(1), b: await findPorts(1) }
  const startDesk = (name: 'a' | 'b'): Running =>
    fleet.start(['start', desk, '--instance', name], {
      ATOLL_STORE_URL: `sqlite:${name}`,
      ATOLL_CALLS_PORT: String(ports[name]),
    })
  const running = { a: startDesk('a'), b: startDesk('b') }
  const urls = { a: (await running.a.ready()).callsUrl!, b: (await running.b.ready()).callsUrl! }
  const gateway = fleet.start(['start', desk, '--gateway'], {
    PORT: '0',
    ATOLL_DISCOVERY_STATIC: `desk=${urls.a},${urls.b}`,
  })
  const gatewayUrl = (await gateway.ready()).gatewayUrl!
  return {
    running,
    gateway,
    gatewayUrl,
    async restart(name) {
      running[name] = startDesk(name)
      await running[name].ready()
    },
    async notes() {
      const all = await Promise.all(names.map((name) => askDesk(urls[name])))
      return all.flat()
    },
  }
}

interface Desks {
  readonly running: { a: Running; b: Running }
  readonly gateway: Running
  readonly gatewayUrl: string
  restart(name: 'a' | 'b'): Promise<void>
  /** All that either has noted down. */
  notes(): Promise<readonly string[]>
}

async function askDesk(url: string): Promise<readonly string[]> {
  const body = JSON.stringify({ system: 'desks', input: {}, remainingMs: 5_000 })
  const response = await fetch(`${url}/call/desk.all`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body,
  })
  return ((await response.json()) as { output: string[] }).output
}

/** Sends note after note, so many at a time, until it is told to end. */
function writeOn(
  url: string,
  writersMax = 8,
): { acknowledged: string[]; failed: { text: string; status: number; detail: string }[]; end(): Promise<void> } {
  const [acknowledged, failed]: [string[], { text: string; status: number; detail: string }[]] = [[], []]
  let [count, isOver] = [0, false]
  async function write(): Promise<void> {
    while (!isOver) {
      const text = `note-${count++}`
      const response = await fetch(`${url}/notes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text }),
      })
      const answer = (await response.json()) as { detail?: string }
      if (response.status === 200) acknowledged.push(text)
      else failed.push({ text, status: response.status, detail: answer.detail ?? '' })
    }
  }
  const writers = Array.from({ length: writersMax }, write)
  return {
    acknowledged,
    failed,
    async end() {
      isOver = true
      await Promise.all(writers)
    },
  }
}

/** Nothing that was acknowledged is missing, and nothing at all was done twice. */
async function assertKept(desks: Desks, acknowledged: readonly string[]): Promise<void> {
  const notes = await desks.notes()
  assert.equal(new Set(notes).size, notes.length, 'something was done twice')
  const there = new Set(notes)
  assert.deepEqual(
    acknowledged.filter((text) => !there.has(text)),
    [],
  )
}

describe('a system in several processes', () => {
  it('loses nothing that was acknowledged when an instance is killed, and does nothing twice', () =>
    inFleet(async (fleet) => {
      const desks = await twoDesks(fleet)
      const { acknowledged, failed, end } = writeOn(desks.gatewayUrl)
      await until('it is under load', () => acknowledged.length > 200)
      await desks.running.a.end('SIGKILL')
      const before = acknowledged.length
      await until('the other one goes on', () => acknowledged.length > before + 200)
      await desks.restart('a')
      await until('it is back', () => /an instance is back/.test(desks.gateway.log()))
      await end()
      assert.ok(failed.length <= 8, JSON.stringify(failed)) // those that were under way in it
      for (const { status, detail } of failed)
        assert.deepEqual([status, /not known, and it was not sent again/.test(detail)], [503, true], detail)
      await assertKept(desks, acknowledged)
    }))

  it('goes on within the deadline when an instance stands still', () =>
    inFleet(async (fleet) => {
      const desks = await twoDesks(fleet)
      const { acknowledged, failed, end } = writeOn(desks.gatewayUrl)
      await until('it is under load', () => acknowledged.length > 200)
      desks.running.a.signal('SIGSTOP')
      const queries = await Promise.all(Array.from({ length: 20 }, () => fetch(`${desks.gatewayUrl}/notes/note-1`)))
      assert.deepEqual(
        queries.map(({ status }) => status),
        queries.map(() => 200),
      ) // one that had waited for it would have had its deadline
      await until('it is left out', () => /an instance is left out/.test(desks.gateway.log()))
      const before = acknowledged.length
      await until('the other one goes on', () => acknowledged.length > before + 200)
      desks.running.a.signal('SIGCONT')
      await until('it is back', () => /an instance is back/.test(desks.gateway.log()))
      await end()
      assert.ok(failed.length <= 8, JSON.stringify(failed))
      await assertKept(desks, acknowledged)
    }))

  it('fails nobody in a rolling restart', () =>
    inFleet(async (fleet) => {
      const desks = await twoDesks(fleet)
      const { acknowledged, failed, end } = writeOn(desks.gatewayUrl)
      for (const name of ['a', 'b', 'a'] as const) {
        const before = acknowledged.length
        await until('it is under load', () => acknowledged.length > before + 100)
        const { code } = await desks.running[name].end('SIGTERM')
        assert.equal(code, 0)
        await desks.restart(name)
        const isBack = (): boolean =>
          (desks.gateway.log().match(/an instance is left out/g)?.length ?? 0) ===
          (desks.gateway.log().match(/an instance is back/g)?.length ?? 0)
        await until('it takes calls again', isBack)
      }
      await end()
      assert.deepEqual(failed, [])
      await assertKept(desks, acknowledged)
      assert.equal((await desks.gateway.end('SIGTERM')).code, 0)
    }))

  it('finds its instances by a registry, which may be gone', () =>
    inFleet(async (fleet) => {
      const registry = fleet.start(['registry', '--port', '0'])
      const env: Environment = { ATOLL_DISCOVERY_REGISTRY: (await registry.ready()).url! }
      const gateway = fleet.start(['start', desk, '--gateway', '--port', '0'], env)
      const url = (await gateway.ready()).gatewayUrl!
      await until(
        'it says what it waits for',
        async () => (await readiness(url)).reasons.join() === 'no instance of desk has been found yet',
      )
      assert.equal((await fetch(`${url}/notes`)).status, 503)
      const first = fleet.start(['start', desk, '--instance', 'first'], { ...env, ATOLL_STORE_URL: 'sqlite:first' })
      await until('it is found', async () => (await readiness(url)).ready)
      await registry.end('SIGKILL')
      for (let query = 0; query < 20; query++) assert.equal((await fetch(`${url}/notes`)).status, 200)
      assert.equal((await first.end('SIGTERM')).code, 0)
    }))

  it('waits for its engines, says so, and stops when it is told to', () =>
    inFleet(async (fleet) => {
      const [port, nobody] = [await findPorts(1), await findPorts(1)]
      const env = {
        ATOLL_STORE_URL: `postgres://desk:hush@127.0.0.1:${nobody}/desks`,
        ATOLL_LOG_URL: `postgres://desk:hush@127.0.0.1:${nobody}/desks`,
        ATOLL_CALLS_PORT: String(port),
      }
      const waiting = fleet.start(['start', desk], env)
      const url = `http://127.0.0.1:${port}`
      await until('it says what it waits for', () => /will try again/.test(waiting.log()))
      const { ready, reasons } = await readiness(url)
      assert.deepEqual(
        [ready, /ECONNREFUSED|cannot be reached|connect/i.test(reasons.join())],
        [false, true],
        reasons.join(),
      )
      assert.equal((await fetch(`${url}/livez`)).status, 200)
      const { code, log } = await waiting.end('SIGTERM')
      assert.deepEqual([code, log.includes('hush')], [0, false])
    }))

  it('takes one Ctrl-C for one, also where npm hands it on a second time', () =>
    inFleet(async ({ start }) => {
      const registry = start(['registry', '--port', '0'])
      await registry.ready()
      registry.signal('SIGINT')
      assert.equal((await registry.end('SIGTERM')).code, 0)
    }))

  it('refuses what cannot work, and says which setting to mend', () =>
    inFleet(async ({ run, folder }) => {
      const refused = async (args: readonly string[], env: Environment = {}): Promise<string> => {
        const { code, err } = await run(args, env)
        assert.equal(code, 2, err)
        return err
      }
      assert.match(
        await refused(['start', desk, '--service', 'chair']),
        /COMMAND_USAGE: system desks has no service chair; it has desk/,
      )
      assert.match(
        await refused(['start', desk, '--gateway']),
        /CONFIG_INVALID: the gateway would reach nobody: desk run elsewhere.*ATOLL_DISCOVERY_/,
      )
      assert.match(
        await refused(['start', fixtureShop, '--service', 'shop']),
        /CONFIG_INVALID: log\.url is embedded.*warehouse could not share it/,
      )
      assert.match(
        await refused(['start', desk], { ATOLL_STORE_URL: 'postgres://h/d' }),
        /CONFIG_INVALID: log\.url is embedded/,
      )
      assert.match(
        await refused(['start', desk], { ATOLL_CALLS_HOST: '0.0.0.0', ATOLL_CALLS_SECRET: '' }),
        /CONFIG_INVALID: .*listen at 0\.0\.0\.0 without a secret.*ATOLL_CALLS_SECRET/,
      )
      assert.match(await refused(['start', desk, '--port', '1']), /--calls-port/)
      assert.match(
        await refused(['start', desk, '--gateway'], { ATOLL_DISCOVERY_STATIC: 'chair=http://a:1' }),
        /discovery\.static names service chair/,
      )
      assert.match(await refused(['start']), /name the module/)
      noteSystem(folder, { module: fixtureShop, system: 'fixture' })
      assert.match(
        await refused(['start', desk], { ATOLL_STORE_URL: 'sqlite:.', ATOLL_CALLS_PORT: '0' }),
        /COMMAND_USAGE: \S+ holds the data of system fixture, and this is system desks; name another folder/,
      )
      writeFileSync(join(folder, 'atoll.json'), '{ "calls": { "prot": 1 } }')
      assert.match(
        await refused(['start', desk]),
        /CONFIG_INVALID: calls\.prot in atoll\.json: there is no such setting; is calls\.port \(ATOLL_CALLS_PORT\) meant\?/,
      )
    }))

  it('has its folder for itself from its first try on, also if its log could not be reached yet', () =>
    inFleet(async ({ start }) => {
      const begun = start(['start', desk], {
        ATOLL_STORE_URL: 'sqlite:here',
        ATOLL_LOG_URL: 'postgres://127.0.0.1:1/x',
        ATOLL_CALLS_PORT: '0',
      })
      await until('it waits for its log', () => /will try again/.test(begun.log()))
      await begun.end()
      const other = start(['start', fixtureShop], { ATOLL_STORE_URL: 'sqlite:here', ATOLL_CALLS_PORT: '0' })
      assert.deepEqual(await other.ready(), { stopped: true, isDrained: true })
      await other.ended
      assert.match(other.log(), /COMMAND_USAGE: \S+ holds the data of system desks, and this is system fixture/)
    }))

  it('does not run where every account of the machine would be every user, unless it is told so by name', () =>
    inFleet(async ({ start, run }) => {
      const without: Environment = { ATOLL_CALLS_SECRET: '', ATOLL_DISCOVERY_REGISTRY: 'http://127.0.0.1:1' }
      for (const args of [
        ['start', desk],
        ['start', desk, '--gateway'],
        ['registry', '--port', '0'],
      ]) {
        const { code, out, err } = await run(args, without)
        assert.deepEqual([code, out], [2, ''], err)
        assert.match(
          err,
          /^CONFIG_INVALID: .*every program on this machine.*ATOLL_CALLS_SECRET.*openssl rand -hex 32.*--trust-every-local-account/,
        )
      }
      const registry = start(['registry', '--port', '0', '--trust-every-local-account'], without)
      const env: Environment = {
        ...without,
        ATOLL_DISCOVERY_REGISTRY: (await registry.ready()).url!,
        ATOLL_CALLS_TRUST_EVERY_LOCAL_ACCOUNT: 'true',
      }
      const running = start(['start', desk], env)
      const { callsUrl } = await running.ready()
      const body = JSON.stringify({ system: 'desks', input: {}, remainingMs: 5_000 })
      const answer = await fetch(`${callsUrl}/call/desk.all`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      assert.equal(answer.status, 200)
    }))

  it('does nothing for a process that does not know the secret, and says at once where it listens', () =>
    inFleet(async ({ start }) => {
      const port = await findPorts(1)
      const running = start(['start', desk], {
        ATOLL_CALLS_HOST: '0.0.0.0',
        ATOLL_CALLS_ADVERTISE: `http://localhost:${port}`,
        ATOLL_CALLS_PORT: String(port),
      })
      const { callsUrl, callsBoundUrl } = await running.ready()
      assert.deepEqual([callsUrl, callsBoundUrl], [`http://localhost:${port}`, `http://0.0.0.0:${port}`])
      const call = JSON.stringify({
        system: 'desks',
        input: { text: 'by a stranger' },
        remainingMs: 5_000,
        caller: { id: 'ann', claims: {} },
      })
      for (const path of ['/call/desk.note', '/call/desk.all', '/admin/redrive', '/admin/replay']) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: call,
        })
        assert.equal(answer.status, 401, path)
      }
      assert.deepEqual(await askDesk(`http://127.0.0.1:${port}`), [])
      const { log } = await running.end()
      assert.ok(!log.includes(secret), log)
    }))

  it('has no gateway that calls itself ready while all instances of a service refuse its secret', () =>
    inFleet(async ({ start }) => {
      const port = await findPorts(1)
      const running = start(['start', desk], { ATOLL_CALLS_PORT: String(port) })
      const { callsUrl } = await running.ready()
      const other = 'a secret of other desks'
      const gateway = start(['start', desk, '--gateway'], {
        PORT: '0',
        ATOLL_DISCOVERY_STATIC: `desk=${callsUrl}`,
        ATOLL_CALLS_SECRET: other,
      })
      const { gatewayUrl } = await gateway.ready()
      const why = async (): Promise<readonly string[]> => (await readiness(gatewayUrl!, other)).reasons
      await until('it says why', async () =>
        /^every instance of desk refuses the secret of this process; .*ATOLL_CALLS_SECRET/.test((await why()).join()),
      )
      assert.equal((await fetch(`${gatewayUrl}/notes`)).status, 503)
      assert.match(gateway.log(), /an instance is listed/)
      assert.doesNotMatch(gateway.log(), /an instance (came|is back)/)
      await running.end()
      const mended = start(['start', desk], { ATOLL_CALLS_PORT: String(port), ATOLL_CALLS_SECRET: other })
      await mended.ready()
      await until('it is back', () => /an instance is back/.test(gateway.log()))
      assert.deepEqual(
        [(await readiness(gatewayUrl!, other)).ready, (await fetch(`${gatewayUrl}/notes`)).status],
        [true, 200],
      )
    }))

  it('takes as much as its settings say, at its gateway and between its processes', () =>
    inFleet(async (fleet) => {
      const limits = { ATOLL_GATEWAY_BODY_BYTES_MAX: String(4 * 2 ** 20) }
      const { callsUrl } = await fleet
        .start(['start', desk], { ATOLL_STORE_URL: 'sqlite:a', ATOLL_CALLS_PORT: '0', ...limits })
        .ready()
      const { gatewayUrl } = await fleet
        .start(['start', desk, '--gateway'], { PORT: '0', ATOLL_DISCOVERY_STATIC: `desk=${callsUrl}`, ...limits })
        .ready()
      const write = async (bytes: number) =>
        (
          await fetch(`${gatewayUrl}/notes`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ text: 'x'.repeat(bytes) }),
          })
        ).status
      assert.deepEqual(
        [await write(3 * 2 ** 20), await write(5 * 2 ** 20)],
        [422, 413],
        'one is too long for a key of the desk, the other does not get there',
      )
    }))

  it('shows what is in force, and where it comes from', () =>
    inFleet(async ({ run, folder }) => {
      writeFileSync(
        join(folder, 'shop.json'),
        JSON.stringify({ calls: { secret: 'hush, this is a secret' }, store: { url: 'postgres://shop:hush@db/shop' } }),
      )
      for (const args of [['config'], ['start', desk, '--print-config']]) {
        const { code, out } = await run([...args, '--config', 'shop.json'], { ATOLL_CALLS_PORT: '4101' })
        assert.equal(code, 0)
        assert.match(out, /^store\.url +postgres:\/\/shop:\*\*\*@db\/shop +shop\.json +ATOLL_STORE_URL$/m)
        assert.match(out, /^calls\.port +4101 +ATOLL_CALLS_PORT +ATOLL_CALLS_PORT$/m)
        assert.match(out, /^runtime\.leaseMs +10000 +default +ATOLL_RUNTIME_LEASE_MS$/m)
        assert.ok(!out.includes('hush'))
      }
    }))
})

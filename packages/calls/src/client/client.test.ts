import assert from 'node:assert/strict'
import dns from 'node:dns'
import { describe, it, mock } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { inNetwork } from '../../test/network.ts'

const { monotonicMs } = createNodeHost()
const fast = { silentMs: 50, aliveMs: 100, outMsMin: 20, outMsMax: 50 }

describe('a call to a service in another process', () => {
  it('carries everything that it would have in one process, and brings everything back', () =>
    inNetwork(async ({ play, client }) => {
      const answer = {
        output: { text: 'tea' },
        outcome: 'shown',
        position: { shelf: { 3: '17-12' } },
        etag: '4',
        replayed: true,
        missed: true,
      } as const
      const { instance, received } = await play(() => answer)
      const request = {
        input: { text: 'ä', none: null },
        isFromClient: true,
        caller: { id: 'ada', claims: { admin: true } },
        position: { desk: { 0: '5' } },
        idempotencyKey: 'k-1',
        ifMatch: '3',
        trace: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        requestId: 'r-1',
        show: true,
        answerBytesMax: 1_000,
      }
      const now = monotonicMs()
      const maybeSeen = { position: { desk: { 1: '6' } }, untilMs: now + 2_000 }
      const given = await client([instance]).dispatch('shelf.put', { ...request, maybeSeen, deadlineMs: now + 5_000 })
      assert.deepEqual(given, answer)
      const { operation, deadlineMs, signal, maybeSeen: carried, ...rest } = received[0]!
      assert.deepEqual({ operation, ...rest }, { operation: 'shelf.put', ...request })
      assert.deepEqual(carried?.position, maybeSeen.position)
      assert.ok(Math.abs(deadlineMs! - carried.untilMs - 3_000) < 10, 'both clocks count what is left')
      assert.ok(
        deadlineMs! >= now + 4_990 && deadlineMs! <= monotonicMs() + 5_000,
        'what is left of it, by the clock there',
      )
      assert.equal(signal!.aborted, false)
    }))

  it('may answer nothing', () =>
    inNetwork(async ({ play, client }) => {
      const { instance } = await play(() => ({}))
      const { output } = await client([instance]).dispatch('shelf.put', { input: {} })
      assert.equal(output, undefined)
    }))

  it('fails with the code, message and details of the service, and is not made again', () =>
    inNetwork(async ({ play, client }) => {
      const { instance, received } = await play(() =>
        Promise.reject(new AtollError('UNAVAILABLE', 'the shelf is wet', { details: { fields: { text: ['drips'] } } })),
      )
      await assert.rejects(client([instance]).dispatch('shelf.look', { input: {} }), (error: AtollError) => {
        assert.deepEqual(
          [error.code, error.reason, error.details],
          ['UNAVAILABLE', 'the shelf is wet', { fields: { text: ['drips'] } }],
        )
        return true
      })
      assert.equal(received.length, 1)
    }))

  it('fails when its time is over, and the other side is told', () =>
    inNetwork(async ({ play, client }) => {
      const { instance, received } = await play(() => new Promise(() => {}))
      const dispatch = (operation: string): Promise<unknown> =>
        client([instance]).dispatch(operation, { input: {}, deadlineMs: monotonicMs() + 100 })
      await assert.rejects(dispatch('shelf.put'), /DEADLINE_EXCEEDED: .*Whether it had an effect is not known/)
      await assert.rejects(dispatch('shelf.look'), { code: 'DEADLINE_EXCEEDED' })
      await until('both were told', () => received.every(({ signal }) => signal!.aborted))
    }))

  it('is cancelled over there when its caller goes away', () =>
    inNetwork(async ({ play, client }) => {
      const gone = new AbortController()
      const { instance, received } = await play(() => new Promise(() => {}))
      const call = client([instance]).dispatch('shelf.put', { input: {}, signal: gone.signal })
      await until('it has come', () => received.length === 1)
      gone.abort()
      await assert.rejects(call, { code: 'CANCELLED' })
      await until('it was told', () => received[0]!.signal!.aborted)
    }))

  it('says when nobody is there', () =>
    inNetwork(async ({ client, nobody }) => {
      await assert.rejects(
        client([]).dispatch('shelf.look', { input: {} }),
        /UNAVAILABLE: .*no instance of shelf is known/,
      )
      await assert.rejects(
        client([await nobody()]).dispatch('shelf.put', { input: {} }),
        /UNAVAILABLE: .*ECONNREFUSED\. It had no effect/,
      )
      await assert.rejects(client([]).dispatch('shelf.steal', { input: {} }), { code: 'NOT_FOUND' })
    }))
})

describe('a call whose instance fails', () => {
  it('goes to another one if it was never there, also if it may not be made twice', () =>
    inNetwork(async ({ play, client, nobody, logged }) => {
      const good = await play(() => ({}))
      const calls = client([await nobody(), await nobody(), good.instance])
      for (let call = 1; call <= 20; call++) await calls.dispatch('shelf.put', { input: {} })
      assert.equal(good.received.length, 20)
      assert.equal(logged.filter(({ message }) => message.startsWith('an instance is left out')).length, 2)
    }))

  it('goes to another one if it was refused at every address of a name, also if it may not be made twice', () =>
    inNetwork(async ({ play, client, nobody }) => {
      const { port } = new URL((await nobody()).url)
      const addresses = [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ]
      mock.method(
        dns,
        'lookup',
        (_: string, __: object, found: (error: null, addresses: readonly dns.LookupAddress[]) => void) =>
          found(null, addresses),
      )
      try {
        const refused = { id: 'two', url: `http://two.test:${port}` }
        await assert.rejects(
          client([refused]).dispatch('shelf.put', { input: {} }),
          /UNAVAILABLE: .*ECONNREFUSED\. It had no effect/,
        )
        const good = await play(() => ({}))
        const calls = client([refused, refused, good.instance])
        for (let call = 1; call <= 20; call++) await calls.dispatch('shelf.put', { input: {} })
        assert.equal(good.received.length, 20)
      } finally {
        mock.restoreAll()
      }
    }))

  it('goes to another one if that may be done, and never if it may not', () =>
    inNetwork(async ({ play, playSocket, client }) => {
      let cut = 0
      const bad = await playSocket((socket) => void (cut++, socket.destroy()))
      const good = await play(() => ({}))
      const calls = client([bad, good.instance], { lostInARowMax: Infinity, retriesPerSecondMin: 1_000 })
      for (let call = 0; call < 40; call++) {
        await calls.dispatch('shelf.look', { input: {} })
        await calls.dispatch('shelf.put', { input: {}, idempotencyKey: `key-${call}` })
      }
      assert.equal(good.received.length, 80)
      assert.ok(cut > 0)
      const before = { cut, came: good.received.length }
      const ends = await Promise.allSettled(
        Array.from({ length: 40 }, () => calls.dispatch('shelf.put', { input: {} })),
      )
      const lost = ends.filter((end) => end.status === 'rejected')
      assert.deepEqual([lost.length, good.received.length - before.came], [cut - before.cut, 40 - lost.length])
      for (const { reason } of lost)
        assert.match(String(reason), /UNAVAILABLE: .*Whether it had an effect is not known, and it was not sent again/)
    }))

  it('goes to another one while the first one is stopping, which comes back when it is ready', () =>
    inNetwork(async ({ play, client, logged }) => {
      const [first, second] = [await play(() => ({})), await play(() => ({}))]
      const calls = client([first.instance, second.instance], fast)
      first.server.refuse()
      for (let call = 0; call < 20; call++) await calls.dispatch('shelf.put', { input: {} })
      assert.deepEqual([first.received.length, second.received.length], [0, 20])
      const heir = await play(() => ({}))
      calls.change([heir.instance, second.instance])
      assert.deepEqual(
        logged.map(({ message }) => message).filter((message) => message === 'an instance went'),
        ['an instance went'],
      )
      await until(
        'the heir has calls',
        async () => (await calls.dispatch('shelf.put', { input: {} }), heir.received.length > 0),
      )
    }))

  it('that was left out goes there again once it says that it is ready', () =>
    inNetwork(async ({ play, client, logged }) => {
      const { instance, received, server } = await play(() => ({}))
      const calls = client([instance], fast)
      await calls.dispatch('shelf.put', { input: {} })
      await server.close()
      await assert.rejects(calls.dispatch('shelf.put', { input: {} }), { code: 'UNAVAILABLE' })
      await assert.rejects(calls.dispatch('shelf.look', { input: {} }), /every instance of shelf is left out/)
      const reborn = await play(() => ({}), {}, Number(new URL(instance.url).port))
      reborn.isReady = false
      await until('it was asked', () => logged.some(({ message }) => message.startsWith('an instance is left out')))
      await assert.rejects(calls.dispatch('shelf.look', { input: {} }), { code: 'UNAVAILABLE' })
      reborn.isReady = true
      await until('it is back', () => logged.some(({ message }) => message === 'an instance is back'))
      await calls.dispatch('shelf.put', { input: {} })
      assert.deepEqual([received.length, reborn.received.length], [1, 1])
    }))

  it('is not sent to an instance that refuses the secret, until that takes it', () =>
    inNetwork(async ({ play, client, logged }) => {
      const other = await play(() => ({}), { secret: 'the secret of others', trustEveryLocalAccount: false })
      const calls = client([other.instance], fast, 'the secret of the library')
      const has = (message: string): number => logged.filter((line) => line.message.startsWith(message)).length
      await until('it is known before anybody calls', () => calls.isRefusedBy('shelf'))
      assert.equal(calls.isRefusedBy('desk'), false)
      await assert.rejects(
        calls.dispatch('shelf.look', { input: {} }),
        /every instance of shelf is left out \(\S+ does not take the secret of this process\)/,
      )
      const { port } = new URL(other.instance.url)
      await other.server.close()
      await until('it is down, which is no refusal', () => !calls.isRefusedBy('shelf'))
      const reborn = await play(
        () => ({}),
        { secret: 'the secret of others', trustEveryLocalAccount: false },
        Number(port),
      )
      await until('it is there again, and refuses as before', () => calls.isRefusedBy('shelf'))
      assert.deepEqual([has('an instance is left out'), has('an instance is back')], [1, 0])
      await reborn.server.close()
      const mended = await play(
        () => ({}),
        { secret: 'the secret of the library', trustEveryLocalAccount: false },
        Number(port),
      )
      await until('it is back', () => has('an instance is back') === 1)
      await calls.dispatch('shelf.look', { input: {} })
      assert.deepEqual([mended.received.length, calls.isRefusedBy('shelf')], [1, false])
    }))

  it('leaves an instance that hangs for another one, and a command that it may have waits', () =>
    inNetwork(async ({ play, playSocket, client }) => {
      const hung = await playSocket(() => {})
      const good = await play(() => ({}))
      const calls = client([hung, good.instance], { ...fast, retriesPerSecondMin: 100 })
      const within = (ms: number, operation: string): Promise<unknown> =>
        calls.dispatch(operation, { input: {}, deadlineMs: monotonicMs() + ms })
      const [commands, queries] = [
        Array.from({ length: 8 }, () => within(3_000, 'shelf.put')),
        Array.from({ length: 8 }, () => within(60_000, 'shelf.look')),
      ]
      await Promise.all(queries)
      // or one would have waited in vain, and be rejected
      for (let call = 0; call < 50; call++) await within(60_000, 'shelf.put')
      const lost = (await Promise.allSettled(commands)).filter((end) => end.status === 'rejected')
      assert.ok(lost.length > 0)
      for (const { reason } of lost)
        assert.match(String(reason), /DEADLINE_EXCEEDED: .*Whether it had an effect is not known/)
      assert.equal(good.received.length, 8 + 50 + (8 - lost.length))
    }))

  it('waits for an instance that is slow, and lives', () =>
    inNetwork(async ({ play, client }) => {
      let release = (): void => {}
      const slow = await play(
        () => new Promise((resolve) => (release = () => resolve({ output: { text: 'at last' } }))),
      )
      const other = await play(() => ({}))
      const calls = client([slow.instance], fast)
      const call = calls.dispatch('shelf.look', { input: {} })
      await until('it was asked', () => slow.received.length === 1)
      calls.change([slow.instance, other.instance])
      const askedMs = monotonicMs()
      await until('it was asked several times whether it lives', () => monotonicMs() - askedMs > 500)
      release()
      assert.deepEqual([(await call).output, other.received.length], [{ text: 'at last' }, 0])
    }))

  it('is not made again when the budget is spent', () =>
    inNetwork(async ({ playSocket, client, logged }) => {
      let came = 0
      const cut = await Promise.all(
        [1, 2, 3].map(() =>
          playSocket((socket, text) => void ((came += Number(text.startsWith('POST'))), socket.destroy())),
        ),
      )
      const calls = client(cut, { lostInARowMax: Infinity, retriesPerSecondMin: 0, retryRatio: 0.1 })
      for (let call = 0; call < 100; call++)
        await assert.rejects(calls.dispatch('shelf.look', { input: {} }), { code: 'UNAVAILABLE' })
      assert.ok(came >= 100 && came <= 110, String(came))
      assert.ok(logged.some(({ message }) => message.startsWith('the budget for retries is spent')))
    }))

  it('goes to another one if the first one has too many, or is too old to know the operation', () =>
    inNetwork(async ({ play, playSocket, client, logged }) => {
      const full = await play(() => ({}), { limits: { callsInFlightMax: 0 } })
      const old = await playSocket((socket) => {
        const body = JSON.stringify({ code: 'NOT_FOUND', message: 'this instance does not know it', unstarted: true })
        socket.write(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      })
      const good = await play(() => ({}))
      const calls = client([full.instance, old, good.instance], { retriesPerSecondMin: 1_000 })
      for (let call = 0; call < 20; call++) await calls.dispatch('shelf.put', { input: {} })
      assert.equal(good.received.length, 20)
      assert.equal(
        logged.some(({ message }) => message.startsWith('an instance is left out')),
        false,
      )
      await assert.rejects(client([full.instance]).dispatch('shelf.put', { input: {} }), { code: 'OVERLOADED' })
    }))
})

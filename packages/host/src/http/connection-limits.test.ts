import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { GET, inServer, LARGE, POST, turns } from '../../test/server.ts'

describe('the connections of a server', () => {
  it('are closed when the client takes nothing of its answer', () =>
    inServer(
      async ({ connect }) => {
        const { client, accepted } = await connect()
        const closed = once(accepted, 'close')
        client.pause().write(GET)
        await closed
      },
      { answerTimeoutMs: 10 },
      ({ answer }) => answer(LARGE),
    ))

  const ways = [
    ['', GET, ''],
    [', also where it asked more often than it may', GET.repeat(30), ''],
    [', also where its body ends behind the answer', POST(1), '1'],
  ] as const
  for (const [what, asked, more] of ways) {
    it(`are closed when the client takes nothing of its answer, however much it sends meanwhile${what}`, () =>
      inServer(
        async (bench) => {
          const { client, accepted } = await bench.connect()
          const closed = once(accepted, 'close')
          client.pause().write(asked)
          const { answer } = await bench.asked(0)
          answer(LARGE)
          client.write(more)
          const sending = setInterval(() => client.write('\r\n'), 5) // between requests these are allowed
          await closed
          clearInterval(sending)
        },
        { answerTimeoutMs: 200, pipelinedMax: 10 },
      ))
  }

  it('that have waited longest are closed when clients leave too much unread', () =>
    inServer(
      async ({ connect, asked }) => {
        const both = [await connect(), await connect()]
        const closed = once(both[0]!.accepted, 'close')
        for (const [nth, { client }] of both.entries()) {
          client.pause().write(GET)
          await asked(nth)
        }
        await closed
        assert.equal(both[1]!.accepted.destroyed, false)
      },
      { unsentBytesMax: LARGE.length * 1.5 },
      ({ answer }) => answer(LARGE),
    ))

  it('make place for a new client where there is none: the one that has been idle longest is closed, and nobody who waits for an answer', () =>
    inServer(
      async ({ connect, asked, begun }) => {
        const [busy, idle, later] = [await connect(), await connect(), await connect()]
        busy.client.write(GET)
        await asked(0)
        const fresh = await connect()
        assert.deepEqual(
          [busy, idle, later, fresh].map(({ accepted }) => accepted.destroyed),
          [false, true, false, false],
        )
        for (const [nth, { client }] of [later, fresh].entries()) {
          client.write(GET)
          await asked(nth + 1)
        }
        assert.equal((await connect()).accepted.destroyed, true, 'all are busy')
        begun[1]!.answer('here')
        await once(begun[1]!.response, 'close')
        assert.equal((await connect()).accepted.destroyed, false)
        assert.equal(later.accepted.destroyed, true, 'it was idle again')
      },
      { connectionsMax: 3 },
    ))

  it('make place for a new client also where clients never end their bodies, and for none of those whose body has come', () =>
    inServer(
      async ({ connect, asked }) => {
        const [whole, first, second] = [await connect(), await connect(), await connect()]
        for (const [nth, { client }] of [whole, first, second].entries()) {
          client.write(POST(2) + (client === whole.client ? '{}' : '{'))
          const { request, answerBody } = await asked(nth)
          if (client !== whole.client) answerBody()
          else while (!request.complete) await turns()
        }
        const fresh = await connect()
        assert.deepEqual(
          [whole, first, second, fresh].map(({ accepted }) => accepted.destroyed),
          [false, true, false, false],
        )
        second.client.write('}')
        assert.match(String(await once(second.client, 'data')), /{}$/)
        fresh.client.write(GET)
        await asked(3)
        assert.deepEqual(
          [whole, second].map(({ accepted }) => accepted.destroyed),
          [false, false],
        )
      },
      { connectionsMax: 3 },
    ))

  const waitedFor = [
    ['read nothing of their answers', GET, LARGE],
    // an answer to HEAD leaves at once
    ['owe the rest of a body that was refused', `${POST(9).replace('POST', 'HEAD')}1`, 'no'],
  ] as const
  for (const [what, sent, answer] of waitedFor) {
    it(`make place for a new client also where clients ${what}`, () =>
      inServer(
        async ({ connect, asked }) => {
          const [waiting, slow] = [await connect(), await connect()]
          waiting.client.write(GET)
          await asked(0)
          slow.client.pause().write(sent)
          ;(await asked(1)).answer(answer)
          const fresh = await connect()
          assert.deepEqual(
            [waiting, slow, fresh].map(({ accepted }) => accepted.destroyed),
            [false, true, false],
          )
        },
        { connectionsMax: 2 },
      ))
  }

  it('are closed, those whose requests have waited longest first, when too many requests wait over all of them', () =>
    inServer(
      async ({ connect, asked }) => {
        const [first, second, single] = [await connect(), await connect(), await connect()]
        for (const [nth, { client, accepted }] of [first, single, second].entries()) {
          const sent = client === single.client ? GET : GET.repeat(3)
          client.write(sent)
          await asked(nth)
          while (accepted.bytesRead < sent.length) await turns()
        }
        assert.deepEqual(
          [first, single, second].map(({ accepted }) => accepted.destroyed),
          [true, false, false],
        )
      },
      { pipelinedTotalMax: 3 },
    ))

  it('are not closed for what waits there where each is answered soon, but those on which a request waits for long', () =>
    inServer(
      async ({ connect, asked, begun }) => {
        const [steady, stalled, third] = [await connect(), await connect(), await connect()]
        const send = async ({ client, accepted }: typeof steady, text: string): Promise<void> => {
          const bytes = accepted.bytesRead + text.length
          client.write(text)
          while (accepted.bytesRead < bytes) await turns()
        }
        await send(steady, GET.repeat(3))
        await send(stalled, GET.repeat(2))
        begun[0]!.answer('soon')
        await asked(2)
        await send(steady, GET)
        await send(third, GET.repeat(2))
        assert.deepEqual(
          [steady, stalled, third].map(({ accepted }) => accepted.destroyed),
          [false, true, false],
        )
      },
      { pipelinedTotalMax: 3 },
    ))
})

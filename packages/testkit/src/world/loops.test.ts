import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { command, contract, event, service, system, type System } from 'atoll'
import { z } from 'zod'
import { world } from './world.ts'

const Ball = z.object({ id: z.string(), left: z.int() })
const ping = event('ping.sent', { version: 1, key: ({ id }) => id, data: Ball })
const pong = event('pong.sent', { version: 1, key: ({ id }) => id, data: Ball })
const pinger = contract('pinger', {
  events: [ping],
  serve: command({ input: Ball, output: z.void() }),
  hit: command({ input: Ball, output: z.void() }),
})
const ponger = contract('ponger', { events: [pong] })

/** Two players who return each ball until `left` is 0: never, if it is less. */
const createCourt = ({ by = 'emit', balls = 1 }: { by?: 'emit' | 'call' | 'timer'; balls?: number } = {}): System =>
  system('court', {
    services: [
      service(pinger, {
        handlers: {
          serve: async ({ input, tx }) => {
            await tx(({ emit }) => emit(ping, input))
          },
          hit: async ({ input, tx }) => {
            await tx(({ emit }) => emit(ping, input))
          },
        },
        subscribe: ({ on }) =>
          by === 'call'
            ? []
            : [
                on(pong, ({ event: { data }, tx }) =>
                  tx(({ emit, schedule }) => {
                    if (data.left === 0) return
                    for (let ball = 0; ball < balls; ball++) {
                      if (by === 'timer') schedule(ping, { ...data, left: data.left - 1 }, { afterMs: 0 })
                      else emit(ping, { ...data, left: data.left - 1 })
                    }
                  }),
                ),
              ],
      }),
      service(ponger, {
        handlers: {},
        subscribe: ({ on }) => [
          on(ping, async ({ event: { data }, call, tx }) => {
            if (by === 'call') await call(pinger.hit, data)
            else await tx(({ emit }) => emit(pong, data))
          }),
        ],
      }),
    ],
  })

const endless = { id: 'a', left: -1 }

describe('events that lead to each other without end', () => {
  it('are named, with who handled which and how often, to whoever waits for quiet', async () => {
    await using court = await world(createCourt())
    await court.call(pinger.serve, endless)
    await assert.rejects(court.quiet({ within: '10s' }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'NOT_QUIET')
      assert.match(
        error.message,
        /without end: (ping\.sent → pong\.sent → ping\.sent|pong\.sent → ping\.sent → pong\.sent)\./,
      )
      assert.match(error.message, /pinger handled pong\.sent 50\d times/)
      assert.match(error.message, /ponger handled ping\.sent 50\d times/)
      return true
    })
  })

  it('are noticed through calls, through timers that are due at once, and when they become more and more', async () => {
    for (const [how, cycle] of [
      [{ by: 'call' }, /end: ping\.sent → ping\.sent\./],
      [{ by: 'timer' }, /pong\.sent → ping\.sent/],
      [{ balls: 3 }, /pong\.sent → ping\.sent/],
    ] as const) {
      await using court = await world(createCourt(how), { loopHandlingsMax: 200 })
      await court.call(pinger.serve, endless)
      await assert.rejects(court.quiet({ within: '10s' }), { code: 'NOT_QUIET', message: cycle }, JSON.stringify(how))
    }
  })

  it('keep nobody waiting, whatever for', async () => {
    await using court = await world(createCourt(), { loopHandlingsMax: 200 })
    await court.call(pinger.serve, endless)
    await assert.rejects(court.clock.advance('1s'), { code: 'NOT_QUIET', message: /without end/ })
    await assert.rejects(
      Promise.all([court.clock.advance('1s'), court.quiet()]),
      { code: 'NOT_QUIET', message: /without end/ },
      'and again',
    )
  })

  it('are what a world takes for it, from its limit on', async () => {
    await using patient = await world(createCourt(), { loopHandlingsMax: 100 })
    await patient.call(pinger.serve, { id: 'a', left: 49 })
    await patient.quiet()
    assert.equal((await patient.events()).length, 100)
    await patient.call(pinger.serve, { id: 'a', left: 60 })
    await assert.rejects(patient.quiet(), { code: 'NOT_QUIET', message: /loopHandlingsMax is 100/ })
  })

  it('are not what only happens often, or as time goes by', async () => {
    await using court = await world(createCourt(), { loopHandlingsMax: 10 })
    await Promise.all(Array.from({ length: 200 }, (_, index) => court.call(pinger.serve, { id: `b${index}`, left: 0 })))
    await court.quiet()
    assert.equal((await court.events()).length, 400)
    for (let nth = 1; nth <= 60; nth++) court.inject('ponger', 'handle', { delayMs: 10 }, nth)
    await court.call(pinger.serve, { id: 'a', left: 50 })
    await court.quiet()
    await court.assertConserved()
  })
})

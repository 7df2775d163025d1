import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRandom } from '../random.ts'
import { Actor } from './actor.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

const make = (seed: number | string = 1) => {
  const random = createRandom(seed)
  const trace = new Trace()
  const scheduler = new Scheduler(random, trace)
  return { scheduler, trace, actor: (name: string) => new Actor(name, scheduler, random.fork(name)) }
}

describe('turns', () => {
  it('of one actor are taken in the order in which it asked for them', async () => {
    const { scheduler, actor } = make()
    const taken: number[] = []
    const one = actor('one')
    for (const turn of [1, 2, 3]) one.host.turn(() => taken.push(turn))
    while (await scheduler.step());
    assert.deepEqual(taken, [1, 2, 3])
  })

  it('of several actors are taken in an order that the seed draws, each actor’s own in order', async () => {
    const run = async (seed: number): Promise<string> => {
      const { scheduler, actor } = make(seed)
      const taken: string[] = []
      for (const one of ['a', 'b', 'c'].map(actor))
        for (const turn of [1, 2, 3]) one.host.turn(() => taken.push(`${one.name}${turn}`))
      while (await scheduler.step());
      for (const name of ['a', 'b', 'c'])
        assert.deepEqual(
          taken.filter((turn) => turn.startsWith(name)),
          [1, 2, 3].map((turn) => `${name}${turn}`),
        )
      return taken.join(' ')
    }
    assert.equal(await run(1), await run(1))
    const orders = new Set(await Promise.all(Array.from({ length: 20 }, (_, seed) => run(seed))))
    assert.ok(orders.size > 10, `${orders.size} orders`)
  })

  it('are done, promises and all, before the next begins', async () => {
    const { scheduler, actor } = make()
    const said: string[] = []
    for (const one of ['a', 'b'].map(actor)) {
      one.host.turn(async () => {
        said.push('begins')
        for (let wait = 0; wait < 50; wait++) await Promise.resolve()
        said.push('ends')
      })
    }
    while (await scheduler.step());
    assert.deepEqual(said, ['begins', 'ends', 'begins', 'ends'])
  })

  it('of the dead are not taken, and those of the living are', async () => {
    const { scheduler, actor } = make()
    const taken: string[] = []
    const [dead, living] = [actor('dead'), actor('living')]
    dead.host.turn(() => taken.push('dead'))
    living.host.turn(() => taken.push('living'))
    dead.die()
    dead.host.turn(() => taken.push('dead'))
    while (await scheduler.step());
    assert.deepEqual(taken, ['living'])
  })

  it('of one who is paused are taken when it goes on', async () => {
    const { scheduler, actor } = make()
    const taken: number[] = []
    const one = actor('one')
    one.host.turn(() => taken.push(1))
    one.host.turn(() => taken.push(2))
    one.pause()
    while (await scheduler.step());
    assert.deepEqual(taken, [])
    one.resume()
    assert.deepEqual(taken, [1, 2])
  })
})

describe('timers', () => {
  it('fire in the order in which they are due, and of two that are due at once the elder first', async () => {
    const { scheduler, actor } = make()
    const one = actor('one')
    const fired: string[] = []
    const random = createRandom('timers')
    for (let index = 0; index < 500; index++) {
      const delayMs = random.int(50)
      one.host.after(delayMs, () => fired.push(`${String(delayMs).padStart(2, '0')} ${String(index).padStart(3, '0')}`))
    }
    while (scheduler.nextMs !== undefined) await scheduler.fire()
    assert.equal(fired.length, 500)
    assert.deepEqual(fired, fired.toSorted())
    assert.equal(scheduler.monotonicMs, 49)
  })

  it('that are cancelled, or of the dead, do not fire and do not move the clock', async () => {
    const { scheduler, actor } = make()
    const [one, dead] = [actor('one'), actor('dead')]
    const fired: string[] = []
    one.host.after(10, () => fired.push('cancelled')).cancel()
    dead.host.after(20, () => fired.push('dead'))
    one.host.after(30, () => fired.push('due'))
    dead.die()
    assert.equal(scheduler.nextMs, 30)
    await scheduler.fire()
    assert.deepEqual([fired, scheduler.monotonicMs, scheduler.nextMs], [['due'], 30, undefined])
  })

  it('that are due in the past fire now', async () => {
    const { scheduler, actor } = make()
    const one = actor('one')
    scheduler.monotonicMs = 100
    one.host.after(-50, () => {})
    await scheduler.fire()
    assert.equal(scheduler.monotonicMs, 100)
  })
})

describe('a host', () => {
  it('gives ids that sort by time, and look like those that they stand for', () => {
    const { scheduler, actor } = make()
    const one = actor('one')
    const before = one.host.uuid()
    scheduler.monotonicMs = 1_000
    const after = one.host.uuid()
    for (const id of [before, after])
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.ok(before < after)
    assert.match(one.host.hex(16), /^[0-9a-f]{32}$/)
  })

  it('tells the wall clock of its own actor, and the same time to all', () => {
    const { scheduler, actor } = make()
    const [fast, slow] = [actor('fast'), actor('slow')]
    fast.skewMs = 5_000
    slow.skewMs = -5_000
    scheduler.monotonicMs = 42
    assert.equal(fast.host.now() - slow.host.now(), 10_000)
    assert.deepEqual([fast.host.monotonicMs(), slow.host.monotonicMs()], [42, 42])
  })
})

describe('a trace', () => {
  it('is one number for what happened in what order', () => {
    const of = (...notes: string[]): string => {
      const trace = new Trace()
      for (const note of notes) trace.note(note)
      assert.equal(trace.count, notes.length)
      return trace.hash
    }
    assert.match(of('a'), /^[0-9a-f]{16}$/)
    assert.equal(of('a', 'b'), of('a', 'b'))
    assert.equal(new Set([of(), of('a'), of('a', 'b'), of('b', 'a'), of('ab'), of('a', ''), of('a', 'b', 'b')]).size, 7)
  })
})

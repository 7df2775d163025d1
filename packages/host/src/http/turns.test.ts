import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clientOf, Turns } from './turns.ts'

/** Turns whose rounds are run by hand, each of which takes as long as the test says. */
function createTurns() {
  const served: string[] = []
  let [nowMs, busyMs] = [0, 0]
  let next: (() => void) | undefined
  const turns = new Turns<string>(
    (item) => void served.push(item),
    { nowMs: () => nowMs, busyMs: () => busyMs },
    (round) => (next = round),
  )
  return {
    turns,
    served,
    /** Time goes by in which the thread works for others. */
    rest(tookMs: number): void {
      nowMs += tookMs
      busyMs += tookMs
    },
    /**
     * Ends a round that took this long, and in which the thread worked for so much of that; false if none is under way.
     */
    round(tookMs = 0, workedMs = tookMs): boolean {
      nowMs += tookMs
      busyMs += workedMs
      const round = next
      next = undefined
      round?.()
      return round !== undefined
    },
  }
}

describe('turns', () => {
  it('serve a client at once that asks for little', () => {
    const { turns, served } = createTurns()
    turns.take('a', 'a1')
    turns.take('b', 'b1')
    assert.deepEqual(served, ['a1', 'b1'])
  })

  it('serve everything, each client in the order in which it asked, and then rest', () => {
    const { turns, served, round } = createTurns()
    for (let nth = 0; nth < 500; nth++) turns.take('a', `a${nth}`)
    assert.ok(served.length < 500)
    for (let rounds = 0; round(10); rounds++) assert.ok(rounds < 1_000)
    assert.deepEqual(
      served,
      Array.from({ length: 500 }, (_, nth) => `a${nth}`),
    )
  })

  it('let nobody wait for all that another client asks, also while that is heavy', () => {
    const { turns, served, round } = createTurns()
    for (let nth = 0; nth < 300; nth++) turns.take('a', 'a')
    for (let rounds = 0; rounds < 10; rounds++) round(50)
    served.length = 0
    round(50)
    assert.deepEqual(served, ['a'], 'a client that makes rounds long has one in each')
    turns.take('b', 'b')
    assert.deepEqual(served, ['a', 'b'])
  })

  it('give a client more in each round again when rounds are short', () => {
    const { turns, served, round } = createTurns()
    for (let nth = 0; nth < 1_000; nth++) turns.take('a', 'a')
    for (let rounds = 0; rounds < 10; rounds++) round(50)
    for (let rounds = 0; rounds < 10; rounds++) round(1)
    served.length = 0
    round(1)
    assert.ok(served.length > 10, `${served.length}`)
  })

  it('let others through between large answers of one client, who is served as soon as it has sat out what it was given', () => {
    const { turns, served, round } = createTurns()
    turns.take('a', 'a1')
    turns.charge('a', 3 * 64 * 1_024 + 1)
    turns.take('a', 'a2')
    for (let rounds = 0; rounds < 5; rounds++) {
      turns.take('b', 'b')
      round()
    }
    assert.deepEqual(served, ['a1', 'b', 'b', 'b', 'b', 'a2', 'b'])
  })

  it('have nobody sit out more than a few rounds, however much it was given', () => {
    const { turns, served, round } = createTurns()
    for (let nth = 0; nth < 300; nth++) turns.charge('a', 10_000_000)
    turns.take('a', 'a')
    for (let rounds = 0; rounds < 17; rounds++) round()
    assert.deepEqual(served, ['a'])
  })

  it('let nobody sit out anything for small answers, nor for what another was given', () => {
    const { turns, served, round } = createTurns()
    turns.charge('a', 64 * 1_024 - 1)
    turns.charge('b', 640 * 1_024)
    turns.take('a', 'a')
    turns.take('c', 'c')
    assert.deepEqual(served, ['a', 'c'])
    for (let rounds = 0; round(); rounds++) assert.ok(rounds < 20, 'what is sat out has an end, and then it rests')
    turns.take('b', 'b')
    assert.deepEqual(served, ['a', 'c', 'b'])
  })

  it('give a client as much as ever where rounds are long for waiting: one commit for all of them would else be one for each', () => {
    const { turns, served, round } = createTurns()
    for (let nth = 0; nth < 1_000; nth++) turns.take('a', 'a')
    for (let rounds = 0; rounds < 10; rounds++) round(10, 2)
    served.length = 0
    round(10, 2)
    assert.equal(served.length, 32)
    for (let rounds = 0; rounds < 10; rounds++) round(10, 9)
    served.length = 0
    round(10, 9)
    assert.equal(served.length, 1)
  })

  it('go by what is done in their rounds, and not by what the thread does between them', () => {
    const { turns, served, round, rest } = createTurns()
    for (let rounds = 0; rounds < 10; rounds++) {
      turns.take('b', 'b')
      round(10, 1)
      rest(20)
    }
    served.length = 0
    for (let nth = 0; nth < 100; nth++) turns.take('a', 'a')
    assert.equal(served.length, 32)
  })

  it('find heavy rounds also where short ones lie between them', () => {
    const { turns, served, round } = createTurns()
    for (let packets = 0; packets < 10; packets++) {
      turns.take('a', 'a')
      round(50)
      turns.take('b', 'b')
      round(1)
      rest()
    }
    served.length = 0
    for (let nth = 0; nth < 100; nth++) turns.take('a', 'a')
    assert.ok(served.length < 32, `${served.length}`)

    function rest(): void {
      while (round(1));
    }
  })

  it('serve what is to wait in a later round, behind what came before it', () => {
    const { turns, served, round } = createTurns()
    turns.takeLater('a', 'a1')
    turns.take('a', 'a2')
    turns.take('b', 'b1')
    assert.deepEqual(served, ['b1'])
    round()
    assert.deepEqual(served, ['b1', 'a1', 'a2'])
  })

  it('go on when what is served asks again at once, and not in the same round', () => {
    let [asked, rounds] = [0, 0]
    let next: (() => void) | undefined
    const turns: Turns<string> = new Turns(
      (item) => {
        if (++asked < 5) turns.takeLater('a', item)
      },
      { nowMs: () => 0, busyMs: () => 0 },
      (round) => (next = round),
    )
    turns.takeLater('a', 'again')
    for (let round; (round = next); rounds++) {
      next = undefined
      round()
    }
    assert.deepEqual([asked, rounds], [5, 6])
  })
})

describe('a client', () => {
  it('is an address of IPv4, also where IPv6 carries it, and a network of IPv6', () => {
    const clients: [string | undefined, string][] = [
      ['10.0.0.1', '10.0.0.1'],
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
      ['2001:db8:1:2::9', '2001:db8:1:2'],
      ['2001:db8::9', '2001:db8:0:0'],
      ['::1', '0:0:0:0'],
      [undefined, ''],
    ]
    for (const [address, client] of clients) assert.equal(clientOf(address), client, String(address))
  })
})

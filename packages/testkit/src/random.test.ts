import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRandom, hashText } from './random.ts'

const draw = (seed: number | string, count = 1_000): number[] => {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => random.next())
}

describe('chance under a seed', () => {
  it('is the same for the same seed, whether it is written as a number or as text', () => {
    assert.deepEqual(draw(7), draw(7))
    assert.deepEqual(draw(7), draw('7'))
  })

  it('is the same on every machine and in every version', () => {
    const random = createRandom(1)
    assert.deepEqual(
      Array.from({ length: 6 }, () => random.int(1_000_000)),
      [660078, 261192, 158719, 760094, 487945, 237169],
    )
  })

  it('is another for another seed, also for seeds that lie side by side', () => {
    const firsts = Array.from({ length: 2_000 }, (_, seed) => draw(seed, 1)[0]!)
    assert.equal(new Set(firsts).size, 2_000)
    assertEven(firsts)
  })

  it('lies in [0, 1), evenly', () => {
    const numbers = draw('even', 20_000)
    assert.ok(numbers.every((number) => number >= 0 && number < 1))
    assertEven(numbers)
  })

  it('draws whole numbers below a bound, each as often', () => {
    const random = createRandom(3)
    const counts = Array.from({ length: 7 }, () => 0)
    for (let round = 0; round < 7_000; round++) counts[random.int(7)]!++
    assert.ok(
      counts.every((count) => count > 850 && count < 1_150),
      counts.join(),
    )
    assert.equal(random.int(1), 0)
  })

  it('says never and always as they are', () => {
    const random = createRandom(4)
    assert.ok(!Array.from({ length: 1_000 }, () => random.chance(0)).includes(true))
    assert.ok(!Array.from({ length: 1_000 }, () => random.chance(1)).includes(false))
    assert.ok(Math.abs(Array.from({ length: 10_000 }, () => random.chance(0.3)).filter(Boolean).length - 3_000) < 200)
  })

  it('picks each of a list, and has nothing to pick from an empty one', () => {
    const random = createRandom(5)
    assert.deepEqual(new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c']))), new Set(['a', 'b', 'c']))
    assert.throws(() => random.pick([]), RangeError)
  })

  it('shuffles a copy, in which everything is still there, to any order', () => {
    const random = createRandom(6)
    const list = [1, 2, 3]
    const orders = new Set(Array.from({ length: 200 }, () => random.shuffle(list).join()))
    assert.deepEqual(list, [1, 2, 3])
    assert.deepEqual([...orders].sort(), ['1,2,3', '1,3,2', '2,1,3', '2,3,1', '3,1,2', '3,2,1'])
  })

  it('has forks by name that draw nothing from it, nor from each other', () => {
    const whole = createRandom(8)
    const fork = whole.fork('a')
    const other = whole.fork('b')
    assert.notEqual(fork.next(), other.next())
    assert.deepEqual(
      Array.from({ length: 10 }, () => whole.next()),
      draw(8, 10),
    )
    const again = createRandom(8)
    again.next()
    assert.equal(
      again.fork('a').next(),
      createRandom(8).fork('a').next(),
      'a fork does not depend on what was drawn before it',
    )
  })
})

describe('the hash of a text', () => {
  it('is far from that of a text that is nearly the same', () => {
    const bits = (number: number): number => (number >>> 0).toString(2).replaceAll('0', '').length
    for (let index = 0; index < 100; index++)
      assert.ok(bits(hashText(`seed ${index}`) ^ hashText(`seed ${index + 1}`)) >= 4)
  })
})

/** In each tenth of [0, 1) there are about as many. */
function assertEven(numbers: readonly number[]): void {
  const tenths = Array.from(
    { length: 10 },
    (_, tenth) => numbers.filter((number) => Math.floor(number * 10) === tenth).length,
  )
  assert.ok(
    tenths.every((count) => Math.abs(count - numbers.length / 10) < numbers.length / 40),
    tenths.join(),
  )
}

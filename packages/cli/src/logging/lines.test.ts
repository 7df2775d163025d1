import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Lines, type LineLimits } from './lines.ts'

/** Somebody who reads as much as a test says, and time that passes when a test says so. */
function createReader(limits: Partial<LineLimits> = {}) {
  const reader = {
    text: '',
    takes: Infinity,
    refusal: 'EAGAIN',
    delays: [] as number[],
    tick: (): void => assert.fail('nothing is due'),
  }
  const lines = new Lines({
    write(bytes) {
      if (reader.takes <= 0) throw Object.assign(new Error(reader.refusal), { code: reader.refusal })
      const taken = bytes.subarray(0, reader.takes)
      reader.takes -= taken.length
      reader.text += Buffer.from(taken).toString('latin1')
      return taken.length
    },
    after(delayMs, callback) {
      reader.delays.push(delayMs)
      reader.tick = callback
      return { cancel: () => undefined }
    },
    limits,
  })
  return { reader, lines }
}

describe('lines of a log', () => {
  it('go out as they come, whole and in order, also to a reader that takes a few bytes at a time', () => {
    const { reader, lines } = createReader()
    lines.push('one')
    assert.equal(reader.text, 'one\n')
    reader.takes = 0
    for (const line of ['two', 'three', 'four']) lines.push(line)
    while (reader.text.length < 'one\ntwo\nthree\nfour\n'.length) {
      reader.takes = 2
      reader.tick()
    }
    assert.equal(reader.text, 'one\ntwo\nthree\nfour\n')
  })

  for (const refusal of ['EAGAIN', 'ENOSPC', 'EPIPE', 'EIO']) {
    it(`neither wait, nor throw, nor pile up while they are refused with ${refusal}, and say afterwards how many are missing, where they are missing`, () => {
      const { reader, lines } = createReader({ pendingBytesMax: 100 })
      reader.refusal = refusal
      reader.takes = 3
      for (let number = 0; number < 1_000; number++)
        lines.push(`line ${number}`, (leftOut, why) => `${leftOut} are missing: ${why}`)
      reader.takes = Infinity
      reader.tick()
      lines.push('after')
      const said = reader.text.trimEnd().split('\n')
      const missing = 1_000 - (said.length - 2)
      assert.deepEqual(said, [
        ...Array.from({ length: said.length - 2 }, (_, number) => `line ${number}`),
        `${missing} are missing: ${refusal}`,
        'after',
      ])
      assert.ok(missing > 900)
    })
  }

  it('are tried again soon while a reader is slow, and later where something is wrong', () => {
    const { reader, lines } = createReader({ retryMs: 10, troubleMs: 1_000 })
    reader.takes = 0
    lines.push('one')
    reader.refusal = 'ENOSPC'
    reader.tick()
    assert.deepEqual(reader.delays, [10, 1_000])
    lines.push('two')
    assert.equal(reader.delays.length, 2, 'one try is owed, however many lines wait')
  })

  it('are cut where they are longer than a reader can use', () => {
    const { reader, lines } = createReader({ lineCharsMax: 10 })
    lines.push('x'.repeat(1_000_000))
    lines.push('after')
    assert.match(reader.text, /^x{10}.{0,3} \(cut\)\nafter\n$/)
  })

  it('are waited for at the end, and not for ever', async () => {
    const { reader, lines } = createReader({ retryMs: 1 })
    reader.takes = 0
    lines.push('the last one')
    await lines.flush(5)
    assert.equal(reader.text, '')
    const flushed = lines.flush(60_000)
    reader.takes = Infinity
    await flushed
    assert.equal(reader.text, 'the last one\n')
  })
})

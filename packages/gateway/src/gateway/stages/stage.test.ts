import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { note, Stages, type Stage } from './stage.ts'

interface Asked {
  readonly way: string[]
}

const passing =
  (name: string): Stage<Asked, Asked, string, string> =>
  (next) =>
  async (exchange) => {
    exchange.way.push(name)
    return `${name}(${await next(exchange)})`
  }

const refusing: Stage<Asked, Asked, string, string> = () => async () => 'no'

describe('stages', () => {
  it('are passed in their order, and the answer comes back through them the other way', async () => {
    const answerTo = Stages.begin<Asked, string>()
      .through(passing('outer'))
      .through(passing('inner'))
      .to(async () => 'answer')
    const asked: Asked = { way: [] }
    assert.equal(await answerTo(asked), 'outer(inner(answer))')
    assert.deepEqual(asked.way, ['outer', 'inner'])
  })

  it('hand on what they find out, and may answer something else than what comes back to them', async () => {
    const counting: Stage<Asked, Asked & { readonly count: number }, number, string> = (next) => async (exchange) =>
      `${await next(note(exchange, { count: 20 }))} in all`
    const answerTo = Stages.begin<Asked, string>()
      .through(counting)
      .to(async ({ count }) => count + 1)
    assert.equal(await answerTo({ way: [] }), '21 in all')
  })

  it('may answer by themselves, so that nothing behind them happens', async () => {
    const answerTo = Stages.begin<Asked, string>()
      .through(refusing)
      .through(passing('behind'))
      .to(() => assert.fail('it was reached'))
    const asked: Asked = { way: [] }
    assert.equal(await answerTo(asked), 'no')
    assert.deepEqual(asked.way, [])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import { createManualHost } from '../../../test/manual-host.ts'
import { createRecorder } from '../../../test/recorder.ts'
import { Reachability } from './reachability.ts'

const away = new AtollError('UNAVAILABLE', 'nobody listens there')

function createEngine() {
  const engine = { name: 'engine', attempts: 0, isThere: true }
  const attempt = async (): Promise<void> => {
    engine.attempts++
    if (!engine.isThere) throw away
  }
  return { engine, reaching: { engine: 'the engine', attempt } }
}

describe('an engine that is kept within reach', () => {
  it('is not within reach before the first attempt has succeeded', async () => {
    const { reaching } = createEngine()
    const reachability = new Reachability(reaching, createManualHost(), silentLogger, 1_000)
    assert.throws(() => reachability.assert(), /UNAVAILABLE.*has not been reached yet/)
    assert.equal(await reachability.start(), undefined)
    reachability.assert()
  })

  it('is attempted after pauses that double up to the longest, and then is within reach again', async () => {
    const host = createManualHost()
    const { engine, reaching } = createEngine()
    engine.isThere = false
    const reachability = new Reachability(reaching, host, silentLogger, 400)
    assert.equal((await reachability.start())?.reason, away.reason)
    const attempts: number[] = []
    for (const pauseMs of [50, 100, 200, 400, 400]) {
      await host.pass(pauseMs)
      attempts.push(engine.attempts)
    }
    assert.deepEqual(attempts, [2, 3, 4, 5, 6])
    assert.throws(() => reachability.assert(), /nobody listens there/)
    engine.isThere = true
    await host.pass(400)
    reachability.assert()
  })

  it('says once that it is away, and once that it answers again, however often it comes and goes', async () => {
    const host = createManualHost()
    const recorder = createRecorder()
    const { reaching } = createEngine()
    const reachability = new Reachability(reaching, host, recorder, 1_000)
    await reachability.start()
    for (let fall = 0; fall < 5; fall++) {
      reachability.lost(new AtollError('UNAVAILABLE', `reason ${fall}`))
      await host.pass(900)
    }
    assert.deepEqual(
      recorder.lines.map((line) => line.split(':')[0]!.trim()),
      ['warn the engine cannot be reached', 'info the engine answers again'],
    )
    await host.pass(5_000)
    reachability.lost(away)
    assert.equal(recorder.lines.length, 3, 'after a time within reach it is news again')
  })

  it('is not taken to be there if it was lost while it was being attempted', async () => {
    const host = createManualHost()
    const { engine, reaching } = createEngine()
    const reachability: Reachability = new Reachability(
      {
        ...reaching,
        async attempt() {
          await reaching.attempt()
          if (engine.attempts === 1) reachability.lost(away)
        },
      },
      host,
      silentLogger,
      1_000,
    )
    assert.equal((await reachability.start())?.reason, away.reason)
    await host.pass(50)
    reachability.assert()
  })

  it('is attempted when it is in doubt, while calls go on', async () => {
    const host = createManualHost()
    const { engine, reaching } = createEngine()
    const reachability = new Reachability(reaching, host, silentLogger, 1_000)
    await reachability.start()
    engine.isThere = false
    reachability.doubt()
    reachability.assert()
    await host.pass(0)
    assert.throws(() => reachability.assert(), /nobody listens there/)
  })

  it('is not attempted any more once it is closed', async () => {
    const host = createManualHost()
    const { engine, reaching } = createEngine()
    engine.isThere = false
    const reachability = new Reachability(reaching, host, silentLogger, 1_000)
    await reachability.start()
    await reachability.close()
    await host.pass(60_000)
    reachability.doubt()
    reachability.lost(away)
    await host.pass(60_000)
    assert.equal(engine.attempts, 1)
  })
})

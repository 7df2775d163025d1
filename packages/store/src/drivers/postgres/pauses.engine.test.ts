import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import type { PausingWriter } from '../../../test/pausing-writer.ts'
import { inPostgresWorld, insertCounter, namesIn, type PostgresWorld } from '../../../test/postgres-world.ts'

const script = new URL('../../../test/pausing-writer.ts', import.meta.url)
/** Long enough for a busy machine, short enough to wait for. */
const idleMs = 700

describe('a writer of a store in PostgreSQL that stops in the midst of a transaction', () => {
  for (const stops of ['between statements', 'in an answer'] as const) {
    it(`loses it, as a thread that blocks ${stops}: others go on, and when it wakes up its write is rejected and has left nothing`, () =>
      inPostgresWorld(async (world) => {
        const gate = new Int32Array(new SharedArrayBuffer(4))
        const thread = new Worker(script, { workerData: { ...orders(world, stops), gate } })
        const said: string[] = []
        thread.on('message', (what: string) => said.push(what))
        await until('it to be in a transaction', () => said.includes('inside'))
        await othersGoOn(world)
        Atomics.store(gate, 0, 1)
        Atomics.notify(gate, 0)
        await until('it to go on', () => said.includes('went on'))
        assert.deepEqual(said, ['inside', 'UNAVAILABLE', 'went on'])
        await assertNothingOfItIsThere(world)
        await thread.terminate()
      }))
  }

  it('loses it, as a process under SIGSTOP: others go on, and when it continues its write is rejected and has left nothing', () =>
    inPostgresWorld(async (world) => {
      const child = fork(script, [JSON.stringify(orders(world, 'between statements'))])
      const said: unknown[] = []
      child.on('message', (what) => said.push(what))
      try {
        await until('it to be in a transaction', () => said.includes('inside'))
        child.kill('SIGSTOP')
        await othersGoOn(world)
        child.kill('SIGCONT')
        await until('it to go on', () => said.includes('went on'))
        assert.deepEqual(said, ['inside', 'UNAVAILABLE', 'went on'])
        await assertNothingOfItIsThere(world)
      } finally {
        child.kill('SIGKILL')
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      }
    }))

  it('loses it at once where it is killed', () =>
    inPostgresWorld(async (world) => {
      const child = fork(script, [JSON.stringify({ ...orders(world, 'between statements'), idleMs: 60_000 })])
      await once(child, 'message')
      child.kill('SIGKILL')
      const store = await world.open('orders', undefined, { lockMs: 10_000 })
      await store.write((tx) => tx.run(insertCounter, ['of another', 1]))
      assert.deepEqual(await namesIn(store), ['of another'])
    }))
})

function orders(world: PostgresWorld, stops: PausingWriter['stops']): PausingWriter {
  return { url: engineUrl('postgres'), system: world.system, idleMs, stops }
}

async function othersGoOn(world: PostgresWorld): Promise<void> {
  const store = await world.open('orders', undefined, { lockMs: 15_000 })
  await store.write((tx) => tx.run(insertCounter, ['of another', 1]))
  assert.deepEqual(await namesIn(store), ['of another'])
}

async function assertNothingOfItIsThere(world: PostgresWorld): Promise<void> {
  assert.deepEqual(await namesIn(await world.open('orders')), ['after it woke up, and saw 1', 'of another'])
}

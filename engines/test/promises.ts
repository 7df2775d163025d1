import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { engines } from '../src/engines.ts'
import { startBehindProxy, type EngineName, type Proxy, type RunningEngine } from '../src/index.ts'
import { answers } from '../src/run/answers.ts'
import { assertFree } from '../src/run/ports.ts'

/** What a client sees of an engine. */
export interface Records {
  /** Adds one; resolves when the engine has acknowledged it. */
  add(url: string): Promise<void>
  /** How many there are. */
  count(url: string): Promise<number>
}

/** Holds an engine to what a test or a proof may expect when it starts one. */
export function keepsItsPromises(name: EngineName, { add, count }: Records): void {
  describe(`${name}, started by a test`, () => {
    let folder: string
    let engine: RunningEngine
    let proxy: Proxy
    /** Through the proxy. */
    let url: string

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'atoll-engine-'))
      await chmod(folder, 0o755) // PostgreSQL does not run as root
      ;({ engine, proxy, url } = await startBehindProxy(name, { folder: join(folder, name) }))
    })
    after(async () => {
      await proxy.close()
      await engine.stop()
      await rm(folder, { recursive: true, force: true })
    })

    const isReachable = (): Promise<boolean> => answers(engine.host, engine.port, engines[name].probe)

    it('has after a kill -9 what it acknowledged before', async () => {
      await add(engine.url)
      const had = await count(engine.url)
      await add(engine.url)
      await engine.kill()
      assert.ok(!engine.runs)
      await assertFree(name, engine.port, engines[name].ports)
      await engine.restart()
      assert.ok(engine.runs)
      assert.equal(await count(engine.url), had + 1)
    })

    it('is reached through a proxy, and by no way round it', async () => {
      await add(url)
      const had = await count(url)
      await proxy.reset()
      await assert.rejects(count(url))
      await add(engine.url)
      await proxy.pass()
      assert.equal(await count(url), had + 1)
    })

    it('does not answer while it is paused, and goes on where it stood', async () => {
      await add(engine.url)
      const had = await count(engine.url)
      await engine.pause()
      assert.ok(engine.runs)
      assert.ok(!(await isReachable()))
      await engine.resume()
      await engine.ready()
      await add(engine.url)
      assert.equal(await count(engine.url), had + 1)
    })
  })
}

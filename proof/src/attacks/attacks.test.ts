import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { start } from '@atoll/cli'
import type { GatewayLimits } from '@atoll/gateway'
import conduit, { gateway } from 'conduit/src/system.ts'
import { Outcomes, type Attack } from './attack.ts'
import { attacks } from './index.ts'
import { ask } from './honest.ts'
import { prepare, type Target } from './target.ts'
import { costOf, figuresOf } from './windows.ts'

/** What an attack waits for takes minutes by default. */
const impatience: Readonly<Record<string, Partial<GatewayLimits>>> = {
  'silent-connections': { headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 },
  'unfinished-bodies': { requestTimeoutMs: 1_000 },
  'unread-answers': { answerTimeoutMs: 200 },
}

async function onConduit(limits: Partial<GatewayLimits>, work: (target: Target) => Promise<void>): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'atoll-attacked-'))
  const started = await start(
    { ...conduit, seed: undefined },
    { data, port: 0, gateway: (running) => ({ ...gateway(running), limits }) },
  )
  try {
    await work(await prepare(started.url!)) // it has a port
  } finally {
    await started.stop()
    await rm(data, { recursive: true })
  }
}

/** Attacks until what is promised has come of it twice. */
async function attackOnce(attack: Attack, target: Target): Promise<void> {
  const over = new AbortController()
  const outcomes = new (class extends Outcomes {
    override count(outcome: string): void {
      super.count(outcome)
      if (this.of(attack.outcome) === 2) over.abort()
    }
  })()
  await attack.run(target, outcomes, over.signal)
}

describe('an attack', () => {
  for (const attack of attacks) {
    it(`comes to what its page says, and others are answered when it is over: ${attack.name}`, () =>
      onConduit(impatience[attack.name] ?? {}, async (target) => {
        await attackOnce(attack, target)
        assert.equal((await fetch(`${target.url}/api/tags`)).status, 200)
      }))
  }

  it('is made on this machine alone', async () => {
    await assert.rejects(prepare('http://example.com'), /not on this machine/)
    await assert.rejects(prepare('https://127.0.0.1:1'), /not on this machine/)
  })
})

describe('what honest clients saw', () => {
  it('is of all that they asked for, with why it failed where it did', async () => {
    const enough = Promise.withResolvers<void>()
    let asked = 0
    const server = createServer((request, response) => {
      if (++asked === 6) enough.resolve()
      response.writeHead(request.url === '/api/tags' ? 503 : 200).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
    const { tookMs, failures } = await ask(
      { url, username: 'ann', slug: '', forged: { partition: '', order: '' } },
      100,
      { until: enough.promise },
    )
    server.close()
    assert.ok(tookMs.length >= 6)
    assert.deepEqual(new Set(failures), new Set(['503']))
    assert.equal(failures.length, Math.ceil(tookMs.length / 3))
  })

  it('is told by what half of the answers, and 99 in 100, did not exceed', () => {
    const tookMs = Array.from({ length: 200 }, (_, nth) => nth + 1)
    assert.deepEqual(figuresOf({ tookMs, failures: ['503'] }), { p50: 100, p99: 198, answers: 200, failures: ['503'] })
  })

  it('is compared by medians of windows, so that one bad window says nothing', () => {
    const window = (p50: number, p99: number, failures: readonly string[] = []) => ({
      p50,
      p99,
      answers: 400,
      failures,
    })
    const turns = [
      [10, 40, 12, 60],
      [11, 41, 13, 9_000],
      [9, 800, 14, 62],
    ].map(([p50, p99, with50, with99]) => ({ without: window(p50!, p99!), with: window(with50!, with99!, ['503']) }))
    assert.deepEqual(costOf(turns), { p50: 1.3, p99: 62 / 41, failed: 3 })
  })
})

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { contract, query, service, system, type Caller } from 'atoll'
import { z } from 'zod'
import { loadConfig } from './config/config.ts'
import type { GatewaySettings } from './gateway.ts'
import { startProcess } from './serve/process.ts'
import { start } from './start.ts'

const self = z.object({ id: z.string() })
const diary = contract('diary', { mine: query({ http: 'GET /me', auth: 'user', input: z.object({}), output: self }) })
const diaries = system('diaries', {
  services: [service(diary, { handlers: { mine: async ({ caller }) => ({ id: caller.id }) } })],
})
const authenticate = async (token: string): Promise<Caller | undefined> =>
  token === 'adas-token' ? { id: 'ada', claims: {} } : undefined

async function inFolder(work: (data: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-gateway-'))
  try {
    await work(join(folder, 'data'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const inOneProcess = async (
  data: string,
  gateway: GatewaySettings | undefined,
): Promise<{ stop(): Promise<unknown>; url: string | undefined }> => start(diaries, { data, port: 0, gateway })

async function asProcess(
  data: string,
  gateway: { settings: GatewaySettings | undefined } | undefined,
): Promise<{ stop(): Promise<unknown>; url: string | undefined }> {
  const config = loadConfig({
    env: {
      ATOLL_STORE_URL: `sqlite:${data}`,
      ATOLL_CALLS_SECRET: 'a secret of all diaries',
      ATOLL_CALLS_PORT: '0',
      ATOLL_GATEWAY_PORT: '0',
    },
  })
  const { started, stop, gatewayUrl } = await startProcess(diaries, {
    config,
    module: import.meta.filename,
    services: ['diary'],
    instance: 'one',
    gateway,
    logger: silentLogger,
  })
  await started
  return { stop, url: gatewayUrl }
}

const ways = {
  'in one process': inOneProcess,
  'as a process of many': (data: string, settings: GatewaySettings | undefined) => asProcess(data, { settings }),
}

for (const [way, run] of Object.entries(ways)) {
  describe(`what a module says of its gateway, ${way}`, () => {
    it('tells the gateway who holds a token', () =>
      inFolder(async (data) => {
        const { url, stop } = await run(data, () => ({ authenticate }))
        try {
          assert.deepEqual(
            await (await fetch(`${url}/me`, { headers: { authorization: 'Bearer adas-token' } })).json(),
            { id: 'ada' },
          )
          assert.equal((await fetch(`${url}/me`, { headers: { authorization: 'Bearer guessed' } })).status, 401)
        } finally {
          await stop()
        }
      }))

    it('is asked for, by name and before anything is made, where an operation is for users and nothing says who they are', () =>
      inFolder(async (data) => {
        for (const settings of [undefined, {}]) {
          await assert.rejects(run(data, settings), {
            code: 'CONFIG_INVALID',
            message: /diary\.mine \(GET \/me\) asks for a user, .* export const gateway = .*authenticate/,
          })
          assert.equal(existsSync(data), false)
        }
        await assert.rejects(
          run(data, () => ({ basePath: '/api' })),
          { code: 'CONFIG_INVALID', message: /diary\.mine/ },
        )
      }))

    it('is refused where it says what no gateway knows, with what was probably meant', () =>
      inFolder(async (data) => {
        const said = async (settings: object): Promise<string> =>
          run(data, settings).then(
            ({ stop }) => stop().then(() => 'it was taken'),
            (error: Error) => error.message,
          )
        assert.match(
          await said({ authentikate: authenticate }),
          /^CONFIG_INVALID: the module's export `gateway` has authentikate, .* is authenticate meant\?$/,
        )
        assert.match(
          await said(() => ({ authenticate, base: '/api' })),
          /has base, which no gateway knows; there are basePath, authenticate, /,
        )
        assert.match(
          await said({ authenticate, limits: { bodyByteMax: 1 } }),
          /has limits\.bodyByteMax, .* is limits\.bodyBytesMax meant\?$/,
        )
        assert.match(await said({ authenticate, cors: { origin: '*' } }), /is cors\.origins meant\?$/)
        assert.match(await said({ authenticate: 'ada' }), /has an `authenticate` that is no function$/)
        assert.match(await said(async () => ({ authenticate })), /is a promise/)
        assert.match(await said(() => 'ada'), /is neither an object nor a function/)
      }))
  })
}

describe('a service without a gateway', () => {
  it('does not need to know who its callers are', () =>
    inFolder(async (data) => {
      await (await asProcess(data, undefined)).stop()
      await (await start(diaries, { data: `${data}-2` })).stop()
    }))
})

import assert from 'node:assert/strict'
import { createGateway, type Gateway } from '@atoll/gateway'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createMemoryLog } from '@atoll/log/memory'
import { sqlStore } from '@atoll/store'
import type { StoreDriver } from '@atoll/store/driver'
import { command, contract, event, projection, query, service, system } from 'atoll'
import { encodePosition, startSystem } from 'atoll/runtime'
import { z } from 'zod'

// What is no text for a store, from wherever a client can send one to wherever a service can keep it.

interface Name {
  id: string
  text: string
}

const Named = z.object({ id: z.string(), text: z.string() })
// of one key: an event that is blocked blocks those behind it
const named = event('name.given', { version: 1, key: () => 'one', data: Named })
const Rows = z.object({ rows: z.array(z.object({ id: z.string() })) })
const names = contract('names', {
  events: [named],
  get: query({ http: 'GET /names/:id', auth: 'none', input: z.object({ id: z.string() }), output: Rows }),
  find: query({
    http: 'GET /names',
    auth: 'none',
    input: z.object({ text: z.union([z.string(), z.array(z.string())]) }),
    output: Rows,
  }),
  put: command({ http: 'PUT /names/:id', auth: 'none', input: Named, output: Named }),
  ifMatched: command({ http: 'POST /matched', auth: 'none', input: z.object({}), output: Rows }),
  say: command({ http: 'POST /said', auth: 'none', input: z.record(z.string(), z.unknown()), output: z.object({}) }),
})
const reading = contract('reading', {
  heard: query({
    http: 'GET /heard',
    auth: 'none',
    input: z.object({}),
    output: z.object({ own: z.array(z.string()), projected: z.array(z.string()) }),
  }),
})

const createTable = (name: string): string => `CREATE TABLE ${name} (id TEXT, text TEXT NOT NULL)`
const own = sqlStore<{ names: Name }>({ migrations: { '0001-names': createTable('names') } })
const heard = sqlStore<{ heard: Name; pages: Name }>({ migrations: { '0001-heard': createTable('heard') } })
const pages = sqlStore<{ pages: Name }>({ migrations: { '0001-pages': createTable('pages') } })

/** Emits whatever it is sent, and keeps nothing of it itself: those who read it must. */
const namesService = service(names, {
  store: own,
  handlers: {
    get: async ({ input, db }) => ({
      rows: await db.selectFrom('names').select('id').where('id', '=', input.id).execute(),
    }),
    find: async ({ input, db }) => ({
      rows: await db.selectFrom('names').select('id').where('text', 'in', [input.text].flat()).execute(),
    }),
    put: ({ input, tx }) =>
      tx(async ({ db, emit }) => {
        await db.insertInto('names').values(input).execute()
        return (emit(named, input), input)
      }),
    ifMatched: ({ ifMatch, tx }) =>
      tx(async ({ db }) => ({
        rows: await db.selectFrom('names').select('id').where('text', '=', String(ifMatch)).execute(),
      })),
    say: ({ input, tx }) =>
      tx(({ emit }) => {
        emit(named, { id: Object.keys(input).join(), text: Object.values(input).flat().join() })
        return {}
      }),
  },
})

const readingService = service(reading, {
  store: heard,
  projections: [
    projection('pages', {
      store: pages,
      subscribe: ({ project }) => [
        project(named, (given, { db }) => db.insertInto('pages').values(given.data).execute()),
      ],
    }),
  ],
  subscribe: ({ on }) => [
    on(named, ({ event: given, tx }) => tx(({ db }) => db.insertInto('heard').values(given.data).execute())),
  ],
  handlers: {
    async heard({ db }) {
      const [mine, projected] = [
        await db.selectFrom('heard').select('text').execute(),
        await db.selectFrom('pages').select('text').execute(),
      ]
      return { own: mine.map(({ text }) => text), projected: projected.map(({ text }) => text) }
    },
  },
})

interface Sent {
  readonly method: string
  readonly url: string
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** As they are written in a URL, and in JSON. */
const inUrl = ['%00', 'a%00b', '%ED%A0%80', '%ED%B0%80x', '%EF%BF', '%']
const inJson = ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00x', 'x\\uD83D']

const refused: readonly Sent[] = [
  ...inUrl.flatMap((text): Sent[] => [
    { method: 'GET', url: `/names/${text}` },
    { method: 'PUT', url: `/names/${text}`, body: '{"text":"fine"}' },
    { method: 'GET', url: `/names?text=${text}` },
    { method: 'GET', url: `/names?text=fine&text=${text}` },
    { method: 'POST', url: `/said?more=${text}`, body: '{}' },
    { method: 'POST', url: `/said?${text}=more`, body: '{}' },
  ]),
  ...inJson.flatMap((text): Sent[] => [
    { method: 'PUT', url: '/names/a', body: `{"text":"${text}"}` },
    { method: 'POST', url: '/said', body: `{"more":"${text}"}` },
    { method: 'POST', url: '/said', body: `{"more":["fine","${text}"]}` },
    { method: 'POST', url: '/said', body: `{"${text}":"fine"}` },
  ]),
  { method: 'POST', url: '/matched', body: '{}', headers: { 'if-match': '"%00"' } },
  { method: 'PUT', url: '/names/a', body: '{"text":"fine"}', headers: { 'idempotency-key': 'a\0' } },
]

/**
 * Sends all of it through the gateway of a system over such stores: each is refused as the client's fault, and an event
 * that comes after it is handled by everybody.
 */
export async function walk(stores: StoreDriver): Promise<void> {
  const host = createNodeHost()
  const keepAlive = setInterval(() => {}, 2 ** 30) // a driver's own timers do not
  const log = createMemoryLog()
  const running = await startSystem(system('texts', { services: [namesService, readingService] }), {
    host,
    log,
    logger: silentLogger,
    stores,
  })
  const gateway = createGateway(running, { host, logger: silentLogger })
  try {
    for (const sent of refused) {
      const { status, body } = await send(gateway, sent)
      assert.ok(status >= 400 && status < 500, `${sent.method} ${sent.url} ${sent.body ?? ''}: ${status} ${body ?? ''}`)
    }
    const positions = ['names\0', 'names'].map((source) => encodePosition({ [source]: { 0: '1\0', 7: '\ud800' } }))
    for (const position of positions)
      assert.equal(
        (await send(gateway, { method: 'GET', url: '/heard', headers: { 'atoll-position': position } })).status < 500,
        true,
        position,
      )
    assert.equal(
      (await send(gateway, { method: 'PUT', url: '/names/last', body: '{"text":"\\ud83d\\ude00"}' })).status,
      200,
    )
    await running.quiet()
    assert.deepEqual(await running.admin.deadLetters(), [])
    assert.deepEqual(JSON.parse((await send(gateway, { method: 'GET', url: '/heard' })).body!), {
      own: ['😀'],
      projected: ['😀'],
    })
  } finally {
    await gateway.close()
    await running.stop()
    await log.close()
    clearInterval(keepAlive)
  }
}

async function send(
  gateway: Gateway,
  { method, url, body, headers = {} }: Sent,
): Promise<{ status: number; body: string | undefined }> {
  const typed = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(body.length) }
  return gateway.handle({
    method,
    url,
    headers: { ...typed, ...headers },
    body: async () => body ?? '',
    address: '127.0.0.1',
    signal: () => undefined,
  })
}

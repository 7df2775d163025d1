import { AtollError, type LogFields } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { changeVersion, sqlStore } from '@atoll/store'
import { createSqliteStores } from '@atoll/store/sqlite'
import { command, contract, event, notFound, query, service, show, stale, system, type ErrorShape } from 'atoll'
import { startSystem, type RunningSystem, type RuntimeOptions } from 'atoll/runtime'
import { z } from 'zod'
import { createGateway, type Gateway, type GatewayOptions } from '../src/index.ts'

/** A request as tests write it. */
export interface Sent {
  readonly method: string
  readonly url: string
  readonly headers?: Record<string, string>
  /** In whole, or as it comes. */
  readonly body?: string | Promise<string>
  readonly address?: string
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly json: Record<string, unknown>
}

export interface Bench {
  readonly gateway: Gateway
  readonly running: RunningSystem
  readonly logged: readonly { readonly fields: LogFields; readonly message: string }[]
  /** Hands a request to the gateway without a socket. */
  send(sent: Sent): Promise<Answered>
  /** Holds back the counter's events and the operation `/held` until `release`. */
  slow(work: (release: () => void) => Promise<void>): Promise<void>
}

const Empty = z.object({})
const Note = z.object({ noteId: z.int(), text: z.string(), version: z.int() })
const Label = z.object({ label: z.string() })
const noted = event('note.taken', { version: 1, key: ({ noteId }) => String(noteId), data: Note })
const counter = contract('counter', {
  count: query({ http: 'GET /count', auth: 'none', input: Empty, output: z.object({ count: z.int() }) }),
})
const notes = contract('notes', {
  events: [noted],
  take: command({
    http: 'POST /notes',
    auth: 'none',
    status: 201,
    input: z.object({ text: z.string(), stars: z.int().default(0) }),
    output: Note,
  }),
  get: query({
    http: 'GET /notes/:noteId',
    auth: 'none',
    input: z.object({ noteId: z.coerce.number().int() }),
    output: Note,
    etag: ({ version }) => version,
  }),
  change: command({
    http: 'PUT /notes/:noteId/text',
    auth: 'none',
    input: z.object({ noteId: z.coerce.number().int(), text: z.string() }),
    output: Note,
    etag: ({ version }) => version,
  }),
  takeAndShow: command({
    http: 'POST /shown',
    auth: 'none',
    input: Empty,
    output: z.object({ taken: z.boolean() }),
    show: show(
      () => counter.count,
      () => ({}),
    ),
  }),
  echo: command({
    http: 'PUT /echo/:id',
    auth: 'none',
    input: z.object({ id: z.string(), text: z.string(), more: z.string() }),
    output: z.record(z.string(), z.string()),
  }),
  open: command({
    http: 'PUT /books/:id',
    auth: 'optional',
    input: z.object({ id: z.string() }),
    output: z.object({ ifNoneMatch: z.string().optional() }),
  }),
  tag: command({ http: 'PUT /tags', auth: 'none', input: z.record(z.string(), z.string()), output: Empty }),
  me: query({ http: 'GET /me', auth: 'user', input: Empty, output: z.object({ id: z.string() }) }),
  maybe: query({ http: 'GET /maybe', auth: 'optional', input: Empty, output: z.object({ id: z.string() }) }),
  page: query({
    http: 'GET /page',
    auth: 'optional',
    input: Empty,
    output: z.object({ isMine: z.boolean() }),
    etag: () => 1,
  }),
  broken: query({ http: 'GET /broken', auth: 'none', input: Empty, output: Empty }),
  unsayable: query({ http: 'GET /unsayable', auth: 'none', input: Empty, output: Empty }),
  label: query({ http: 'GET /labels/:label', auth: 'none', input: Label, output: Label, etag: ({ label }) => label }),
  relabel: command({
    http: 'PUT /labels/:label',
    auth: 'none',
    input: Label,
    output: z.object({ label: z.string(), ifMatch: z.string().optional() }),
    etag: ({ label }) => label,
  }),
  measure: query({
    http: 'GET /measures/:cm',
    auth: 'none',
    input: z.object({
      cm: z.coerce.number(),
      more: z.array(z.coerce.number()).optional(),
      text: z.string().optional(),
    }),
    output: z.object({ cm: z.number() }),
  }),
  held: query({ http: 'GET /held', auth: 'none', input: Empty, output: z.object({ aborted: z.boolean() }) }),
})
const shaped = contract('shaped', {
  errors: (error) => ({ status: error.status, body: { errors: [error.code] } }),
  get: query({ http: 'GET /shaped', auth: 'none', input: Empty, output: Empty }),
})

/**
 * Words for errors that are none: a throw, a status that HTTP does not know, a body that is not JSON, statuses that end
 * with their headers, and a promise.
 */
const unworded: readonly ErrorShape[] = [
  () => {
    throw new Error('lost for words')
  },
  () => ({ status: 42, body: {} }),
  () => ({ status: 404, body: { count: 1n } }),
  ...[204, 205, 304].map((status): ErrorShape => () => ({ status, body: {} })),
  (async () => ({ status: 404, body: {} })) as unknown as ErrorShape, // as JavaScript lets one write it
]
const unwordedServices = unworded.map((errors, number) => {
  const one = contract(`unworded-${number}`, {
    errors,
    get: query({ http: `GET /unworded/${number}`, auth: 'none', input: Empty, output: Empty }),
  })
  return service(one, {
    handlers: {
      get: () => {
        throw notFound('thing')
      },
    },
  })
})

/** Runs `work` against a gateway over services in memory. */
export async function inSystem(
  work: (bench: Bench) => Promise<void>,
  options: Partial<GatewayOptions> = {},
  runtime: Partial<RuntimeOptions> = {},
): Promise<void> {
  let gate: Promise<void> = Promise.resolve()
  const notesService = service(notes, {
    store: sqlStore<{ notes: { note_id?: number; text: string; version: number } }>({
      migrations: {
        '0001-notes': 'CREATE TABLE notes (note_id INTEGER PRIMARY KEY, text TEXT NOT NULL, version INTEGER NOT NULL)',
      },
    }),
    handlers: {
      take: ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          const row = await db
            .insertInto('notes')
            .values({ text: input.text, version: 1 })
            .returning('note_id')
            .executeTakeFirstOrThrow()
          const note = { noteId: row.note_id!, text: input.text, version: 1 }
          emit(noted, note)
          return note
        }),
      measure: ({ input }) => ({ cm: input.cm }),
      async get({ input, db }) {
        const row = await db.selectFrom('notes').selectAll().where('note_id', '=', input.noteId).executeTakeFirst()
        if (!row) throw notFound('note')
        return { noteId: input.noteId, text: row.text, version: row.version }
      },
      change: ({ input, ifMatch, tx }) =>
        tx(async ({ db }) => {
          const { text, version } = await changeVersion(db, 'notes', {
            key: { note_id: input.noteId },
            expected: ifMatch,
            set: { text: input.text },
          })
          return { noteId: input.noteId, text, version }
        }),
      takeAndShow: ({ tx }) =>
        tx(({ emit }) => {
          emit(noted, { noteId: 0, text: '', version: 1 })
          return { taken: true }
        }),
      echo: ({ input }) => input,
      open: ({ input, ifMatch, ifNoneMatch }) => {
        if (ifMatch !== undefined && input.id !== 'there')
          throw new AtollError('PRECONDITION_FAILED', 'there is no such book to change')
        if (ifMatch !== undefined && ifMatch !== '1') throw stale('book', 1)
        if (ifNoneMatch !== undefined && input.id === 'there') throw stale('book', 1)
        return { ifNoneMatch }
      },
      tag: () => ({}),
      me: ({ caller }) => ({ id: caller.id }),
      maybe: ({ caller }) => ({ id: caller?.id ?? 'nobody' }),
      page: ({ caller }) => ({ isMine: caller?.id === 'ann' }),
      broken: () => {
        throw new Error('secret detail')
      },
      unsayable: () => {
        throw new AtollError('INVALID', 'not to be said', { details: { fields: { count: 1n } } })
      },
      label: ({ input }) => input,
      relabel: ({ input, ifMatch }) => ({ ...input, ifMatch }),
      async held({ signal }) {
        await gate
        return { aborted: signal.aborted }
      },
    },
  })
  const counterService = service(counter, {
    store: sqlStore<{ seen: { n: number } }>({ migrations: { '0001-seen': 'CREATE TABLE seen (n INTEGER NOT NULL)' } }),
    subscribe: ({ on }) => [
      on(noted, async ({ tx }) => {
        await gate
        await tx(({ db }) => db.insertInto('seen').values({ n: 1 }).execute())
      }),
    ],
    handlers: { count: async ({ db }) => ({ count: (await db.selectFrom('seen').selectAll().execute()).length }) },
  })
  const shapedService = service(shaped, {
    handlers: {
      get: () => {
        throw notFound('thing')
      },
    },
  })

  const host = createNodeHost()
  const keepAlive = setInterval(() => {}, 2 ** 30) // the runtime's timers do not
  const log = await createEmbeddedLog({ file: ':memory:', host })
  const stores = createSqliteStores({ folder: ':memory:', host })
  const logged: { fields: LogFields; message: string }[] = []
  const note = (fields: LogFields, message: string): void => void logged.push({ fields, message })
  const logger = { info: note, warn: note, error: note }
  const running = await startSystem(
    system('bench', { services: [notesService, counterService, shapedService, ...unwordedServices] }),
    { host, log, stores, logger },
    runtime,
  )
  const gateway = createGateway(running, {
    ...options,
    host,
    logger,
    cors: { origins: '*' },
    authenticate:
      options.authenticate ??
      (async (token) => {
        if (token === 'unasked') throw new AtollError('UNAVAILABLE', 'identity cannot be reached')
        if (token === 'stuck') return new Promise(() => {})
        if (token === 'broken') throw new Error('this is no token')
        return token.startsWith('good-') ? { id: token.slice(5), claims: {} } : undefined
      }),
    limits: { bodyBytesMax: 1_000, requestsInFlightMax: 5, addressWaitMs: 60_000, ...options.limits },
  })
  try {
    await work({
      gateway,
      running,
      logged,
      async send({ method, url, headers = {}, body, address = '127.0.0.1' }) {
        const length: Record<string, string> =
          typeof body === 'string'
            ? { 'content-length': String(Buffer.byteLength(body)) }
            : body
              ? { 'transfer-encoding': 'chunked' }
              : {}
        const response = await gateway.handle({
          method,
          url,
          headers: { ...length, ...headers },
          address,
          body: async () => body ?? '',
          signal: () => undefined,
        })
        return {
          status: response.status,
          headers: response.headers,
          json: JSON.parse(response.body ?? '{}') as Record<string, unknown>,
        }
      },
      async slow(inside) {
        let release = (): void => {}
        gate = new Promise((resolve) => (release = resolve))
        try {
          await inside(release)
        } finally {
          release()
        }
      },
    })
  } finally {
    await gateway.close({ drainMs: 100 })
    await running.stop({ drainMs: 100 })
    await stores.close()
    await log.close()
    clearInterval(keepAlive)
  }
}

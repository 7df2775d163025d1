import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, errorCodes, silentLogger, type ErrorCode, type LogFields } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { inSystem, type Sent } from '../../test/system.ts'
import { createGateway } from './gateway.ts'
import { toResponse } from './problem.ts'

const json = { 'content-type': 'application/json' }

describe('the gateway', () => {
  it('answers what cannot be understood with what is wrong', () =>
    inSystem(async ({ send }) => {
      const cases: [string, Sent, number, string][] = [
        ['malformed JSON', { method: 'POST', url: '/notes', headers: json, body: '{"text":' }, 400, 'MALFORMED'],
        ['wrong content type', { method: 'POST', url: '/notes', headers: { 'content-type': 'text/plain' }, body: 'hi' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
        ['no content type', { method: 'POST', url: '/notes', body: '{}' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
        ['a body that is no object', { method: 'POST', url: '/notes', headers: json, body: '[1]' }, 422, 'INVALID'],
        ['a body over the limit', { method: 'POST', url: '/notes', headers: json, body: JSON.stringify({ text: 'x'.repeat(2_000) }) }, 413, 'BODY_TOO_LARGE'],
        ['a value against the schema', { method: 'POST', url: '/notes', headers: json, body: '{"text":7}' }, 422, 'INVALID'],
        ['an unknown route', { method: 'GET', url: '/nowhere' }, 404, 'NOT_FOUND'],
        ['a route whose parameter is empty', { method: 'GET', url: '/notes/' }, 404, 'NOT_FOUND'],
        ['a path that cannot be decoded', { method: 'GET', url: '/notes/%zz' }, 400, 'MALFORMED'],
        ['half of a surrogate pair in a path', { method: 'GET', url: '/labels/%ED%A0%80' }, 400, 'MALFORMED'],
        ['half of a surrogate pair in a query string', { method: 'GET', url: '/count?x=%ED%A0%80' }, 400, 'MALFORMED'],
        ['a query string that cannot be decoded', { method: 'GET', url: '/count?x=100%' }, 400, 'MALFORMED'],
        ['half of a surrogate pair in the name of a field', { method: 'PUT', url: '/tags', headers: json, body: '{"\\ud83d":"x"}' }, 422, 'INVALID'],
        ['a method that the path does not know', { method: 'DELETE', url: '/notes' }, 405, 'METHOD_NOT_ALLOWED'],
        ['an Idempotency-Key with spaces', { method: 'POST', url: '/notes', headers: { ...json, 'idempotency-key': 'a b' }, body: '{"text":"x"}' }, 400, 'MALFORMED'],
      ]
      for (const [what, sent, status, code] of cases) {
        const answer = await send(sent)
        assert.deepEqual([answer.status, answer.json['code'], answer.headers['content-type']], [status, code, 'application/problem+json; charset=utf-8'], what)
        assert.equal(answer.headers['x-request-id'], answer.json['requestId'])
      }
    }))

  it('names each field that does not fit, and drops fields it does not know', () =>
    inSystem(async ({ send }) => {
      const { json: problem } = await send({ method: 'POST', url: '/notes', headers: json, body: '{"text":7,"stars":"many"}' })
      assert.deepEqual(Object.keys(problem['fields'] as object), ['text', 'stars'])
      assert.equal((await send({ method: 'POST', url: '/notes', headers: json, body: '{"text":"x","surplus":1,"__proto__":{"admin":true}}' })).status, 201)
    }))

  it('names fields that every object has, and no more fields than one can read', () =>
    inSystem(async ({ send }) => {
      const put = async (tags: object) => Object.keys((await send({ method: 'PUT', url: '/tags', headers: json, body: JSON.stringify(tags) })).json['fields'] as object)
      assert.deepEqual(await put({ constructor: 7, toString: 8 }), ['constructor', 'toString'])
      assert.equal((await put(Object.fromEntries(Array.from({ length: 500 }, (_, nth) => [`t${nth}`, nth])))).length, 100)
    }, { limits: { bodyBytesMax: 100_000 } }))

  it('says which methods a path has, to those who ask and to those who err', () =>
    inSystem(async ({ send }) => {
      assert.equal((await send({ method: 'DELETE', url: '/notes' })).headers['allow'], 'POST')
      assert.equal((await send({ method: 'POST', url: '/notes/1' })).headers['allow'], 'GET, HEAD')
      const preflight = await send({ method: 'OPTIONS', url: '/notes', headers: { origin: 'https://page.example' } })
      assert.deepEqual([preflight.status, preflight.headers['access-control-allow-origin'], preflight.headers['access-control-allow-methods']], [204, '*', 'POST, OPTIONS'])
    }))

  it('lets a path parameter beat the body, and the body the query string', () =>
    inSystem(async ({ send }) => {
      const { json: echoed } = await send({ method: 'PUT', url: '/echo/path?id=query&text=query&more=query', headers: json, body: '{"id":"body","text":"body"}' })
      assert.deepEqual(echoed, { id: 'path', text: 'body', more: 'query' })
    }))

  it('takes no number for its neighbour: what a path or a query string says, and a number cannot keep, is refused by name', () =>
    inSystem(async ({ send }) => {
      for (const [url, cm] of [['/measures/9007199254740992', 2 ** 53], ['/measures/6.02214076e23', 6.02214076e23], ['/measures/0.1?text=9007199254740993', 0.1]] as const) assert.deepEqual((await send({ method: 'GET', url })).json, { cm }, url)
      for (const [url, field] of [['/measures/9007199254740993', 'cm'], ['/measures/9007199254740993.0', 'cm'], ['/measures/0x20000000000001', 'cm'], ['/measures/1?more=2&more=-9007199254740993', 'more']] as const) {
        const { status, json: problem } = await send({ method: 'GET', url })
        assert.deepEqual([status, problem['code'], Object.keys(problem['fields'] ?? {})], [422, 'INVALID', [field]], url)
      }
    }))

  it('knows callers by their token, and refuses tokens that are not good', () =>
    inSystem(async ({ send }) => {
      const who = (authorization?: string, url = '/me') => send({ method: 'GET', url, headers: authorization === undefined ? {} : { authorization } })
      assert.deepEqual((await who('Bearer good-ann')).json, { id: 'ann' })
      assert.deepEqual((await who('Token good-ann')).json, { id: 'ann' })
      for (const header of [undefined, 'Bearer bad', 'Basic YTpi', 'Bearer', 'good-ann', 'Bearer broken']) {
        const { status, headers } = await who(header)
        assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer'], String(header))
      }
      assert.deepEqual((await who(undefined, '/maybe')).json, { id: 'nobody' })
      assert.deepEqual((await who('Bearer good-ann', '/maybe')).json, { id: 'ann' })
      assert.equal((await who('Bearer bad', '/maybe')).status, 401, 'a bad token is not the same as none')
    }))

  it('does not refuse a token while nobody can say whether it is good: whoever hears 401 logs out', () =>
    inSystem(async ({ send }) => {
      const { status, json: problem } = await send({ method: 'GET', url: '/me', headers: { authorization: 'Bearer unasked' } })
      assert.deepEqual([status, problem['code']], [503, 'UNAVAILABLE'])
    }))

  it('answers within the deadline, also where nobody says who holds a token', () =>
    inSystem(async ({ send }) => {
      const { status, json: problem } = await send({ method: 'GET', url: '/me', headers: { authorization: 'Bearer stuck' } })
      assert.deepEqual([status, problem['code']], [504, 'DEADLINE_EXCEEDED'])
    }, { limits: { deadlineMs: 20 } }))

  it('says nothing of what went wrong inside, and logs it under the id of the request', () =>
    inSystem(async ({ send, logged }) => {
      const { status, json: problem, headers } = await send({ method: 'GET', url: '/broken' })
      assert.deepEqual([status, problem['code']], [500, 'INTERNAL'])
      assert.ok(!JSON.stringify(problem).includes('secret detail'))
      const line = logged.find(({ fields }) => fields['requestId'] === headers['x-request-id'])
      assert.match(String((line?.fields['error'] as Error).message), /secret detail/)
    }))

  it('tells of its own bad days by code and id alone, in answers and in readiness: whoever asks hears no address, database or user', () =>
    inSystem(async ({ running }) => {
      const logged: LogFields[] = []
      const secret = 'PostgreSQL at db.internal:5432/shop: password authentication failed for user "shop"'
      const codes = Object.keys(errorCodes).filter((code) => new AtollError(code as ErrorCode, secret).status >= 500) as ErrorCode[] // keys of the table
      assert.ok(codes.includes('UNAVAILABLE') && codes.includes('STORE_CORRUPT'))
      for (const code of codes) {
        const error = new AtollError(code, secret, { cause: new Error(secret), details: { fields: { host: [secret] }, host: secret } })
        const readiness = { ready: false, reasons: [`notes cannot go on: ${error.message}`], brief: [`notes cannot go on: ${code}`], warnings: [] }
        const served = { system: running.system, dispatch: () => Promise.reject(error), readiness: () => readiness }
        const gateway = createGateway(served, { host: createNodeHost(), logger: { ...silentLogger, error: (fields) => void logged.push(fields) } })
        const ask = async (url: string) => gateway.handle({ method: 'GET', url, headers: {}, address: '127.0.0.1', body: async () => '', signal: () => undefined })
        const worded = toResponse(error, 'id', ({ status, reason, details }) => ({ status, body: { reason, details } }))
        const answered = await ask('/count')
        for (const { status, body } of [worded, answered, await ask('/readyz')]) {
          assert.ok(status >= 500 && !/db\.internal|shop|:5432|password/.test(body!), `${code}: ${body}`)
        }
        const { body, headers } = answered
        const problem = JSON.parse(body!) as Record<string, unknown>
        const isForCallers = 'status' in errorCodes[code]
        assert.deepEqual([problem['code'], problem['title'], problem['requestId']], [isForCallers ? code : 'INTERNAL', errorCodes[isForCallers ? code : 'INTERNAL'].meaning, headers['x-request-id']])
        const line = logged.find((fields) => fields['requestId'] === headers['x-request-id'])
        assert.match((line!['error'] as Error).message, /db\.internal/)
      }
    }))

  it('writes no line about each of many refusals: one a second, which says how many there were', () =>
    inSystem(async ({ running }) => {
      const logged: LogFields[] = []
      let nowMs = 0
      const served = { system: running.system, dispatch: () => Promise.reject(new AtollError('OVERLOADED', 'the queue is full')), readiness: () => running.readiness() }
      const gateway = createGateway(served, { host: { ...createNodeHost(), monotonicMs: () => nowMs }, logger: { ...silentLogger, error: (fields) => void logged.push(fields) } })
      const ask = async (): Promise<number> => (await gateway.handle({ method: 'GET', url: '/count', headers: {}, address: '127.0.0.1', body: async () => '', signal: () => undefined })).status
      for (let number = 0; number < 100; number++) assert.equal(await ask(), 503)
      nowMs += 1_000
      await ask()
      assert.deepEqual(logged.map(({ refused }) => refused), [1, 100])
    }))

  it('tells whether what could not be answered had an effect, where that is known', () =>
    inSystem(async ({ running }) => {
      for (const [effect, words] of [['none', /it had no effect/], ['unknown', /not known, and it was not sent again: use an Idempotency-Key/]] as const) {
        const served = { system: running.system, readiness: () => running.readiness(), dispatch: () => Promise.reject(new AtollError('UNAVAILABLE', 'notes-1 at 10.0.0.7 was lost', { details: { effect } })) }
        const gateway = createGateway(served, { host: createNodeHost(), logger: silentLogger })
        const { body } = await gateway.handle({ method: 'GET', url: '/count', headers: {}, address: '127.0.0.1', body: async () => '', signal: () => undefined })
        const problem = JSON.parse(body!) as Record<string, unknown>
        assert.equal(problem['effect'], effect)
        assert.match(String(problem['detail']), words)
      }
    }))

  it('words errors as their contract does', () =>
    inSystem(async ({ send }) => {
      const { status, json: body } = await send({ method: 'GET', url: '/shaped' })
      assert.deepEqual([status, body], [404, { errors: ['NOT_FOUND'] }])
    }))

  it('words errors in the standard way when their contract cannot, and logs why', () =>
    inSystem(async ({ send, logged }) => {
      for (const [url, why] of [['/unworded/0', /lost for words/], ['/unworded/1', /status 42/], ['/unworded/2', /BigInt/]] as const) {
        const { status, json: problem, headers } = await send({ method: 'GET', url })
        assert.deepEqual([status, problem['code'], headers['content-type']], [404, 'NOT_FOUND', 'application/problem+json; charset=utf-8'], url)
        const line = logged.find(({ fields }) => fields['requestId'] === headers['x-request-id'])
        assert.match(String((line?.fields['error'] as Error).message), why)
      }
      const { status, json: problem } = await send({ method: 'GET', url: '/unsayable' })
      assert.deepEqual([status, problem['code']], [500, 'INTERNAL'])
    }))

  it('repeats a recorded answer under an Idempotency-Key, and not its effect', () =>
    inSystem(async ({ send }) => {
      const sent: Sent = { method: 'POST', url: '/notes', headers: { ...json, 'idempotency-key': 'once' }, body: '{"text":"x"}' }
      const first = await send(sent)
      const second = await send(sent)
      assert.deepEqual([second.status, second.json], [first.status, first.json])
      assert.deepEqual([first.headers['idempotency-replayed'], second.headers['idempotency-replayed']], [undefined, 'true'])
      assert.deepEqual((await send({ method: 'GET', url: '/count' })).json, { count: 1 })
      const book = (id: string, headers: Record<string, string>) => send({ method: 'PUT', url: `/books/${id}`, headers: { 'idempotency-key': 'once', ...headers } })
      const ann = { authorization: 'Bearer good-ann' }
      assert.deepEqual([(await book('a', ann)).status, (await book('b', ann)).json['code']], [200, 'IDEMPOTENCY_KEY_REUSED'])
      assert.deepEqual([(await book('a', {})).status, (await book('b', {})).status], [200, 200], 'strangers are not in each other\'s way')
    }))

  it('sends versions as ETag, and takes them back in If-Match and If-None-Match', () =>
    inSystem(async ({ send }) => {
      await send({ method: 'POST', url: '/notes', headers: json, body: '{"text":"first"}' })
      const etag = (await send({ method: 'GET', url: '/notes/1' })).headers['etag']!
      assert.match(etag, /^"1;[0-9a-f]{24}"$/)
      const unless = async (tags: string) => (await send({ method: 'GET', url: '/notes/1', headers: { 'if-none-match': tags } })).status
      for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) assert.equal(await unless(tags), 304, tags)
      for (const tags of ['"1"', '"x"']) assert.equal(await unless(tags), 200, tags)
      const change = async (tags: string) => {
        const { status, headers } = await send({ method: 'PUT', url: '/notes/1/text', headers: { ...json, 'if-match': tags }, body: '{"text":"second"}' })
        return [status, headers['etag']]
      }
      assert.deepEqual(await change(etag), [200, '"2"'])
      assert.deepEqual(await change('"1"'), [412, undefined])
      assert.deepEqual(await change('"7", "1" ,"2"'), [200, '"3"'], 'one of those that are listed')
      assert.deepEqual(await change('"7", "8"'), [412, undefined])
      assert.deepEqual(await change('W/"3"'), [412, undefined], 'a weak tag matches nothing here')
      assert.deepEqual(await change('W/"3", "3"'), [200, '"4"'])
      assert.deepEqual(await change('*'), [200, '"5"'])
    }))

  it('passes over no condition that it does not understand', () =>
    inSystem(async ({ send }) => {
      for (const tags of ['5', '"5', 'w/"5"', '"5" "6"', '', Array(11).fill('"5"').join()]) {
        const { status, json: problem } = await send({ method: 'PUT', url: '/labels/x', headers: { 'if-match': tags } })
        assert.deepEqual([status, problem['code']], [400, 'MALFORMED'], tags)
      }
      assert.equal((await send({ method: 'GET', url: '/labels/x', headers: { 'if-match': '"y"' } })).status, 412)
      assert.equal((await send({ method: 'GET', url: '/labels/x', headers: { 'if-match': '"y", "x"' } })).status, 200)
    }))

  it('reads a condition once, however long it is, and whatever is wrong with it: it would take the gateway hours to look at each comma as often as there are commas', () =>
    inSystem(async ({ send }) => {
      for (const between of [',', ' ', ', ', '\t,', '"', '",']) {
        for (const name of ['if-match', 'if-none-match']) {
          const headers = { [name]: `"a"${between.repeat(1_000_000)}x` }
          assert.equal((await send({ method: 'GET', url: '/labels/x', headers })).status, 400, between)
          assert.equal((await send({ method: 'PUT', url: '/labels/x', headers })).status, 400, between)
        }
      }
      assert.equal((await send({ method: 'GET', url: '/labels/x', headers: { 'if-match': ` ,\t"y",${', '.repeat(1_000_000)}"x", ,\t` } })).status, 200)
    }))

  it('asks the handler whether something is new, for If-None-Match: *', () =>
    inSystem(async ({ send }) => {
      const put = async (id: string, tags: string) => (await send({ method: 'PUT', url: `/books/${id}`, headers: { 'if-none-match': tags } })).status
      assert.deepEqual([await put('new', '*'), await put('there', '*'), await put('new', '"1"')], [200, 412, 400])
    }))

  it('asks the handler whether something is there, for If-Match: *: a command that makes or changes must not make what its client forbade to make', () =>
    inSystem(async ({ send }) => {
      const put = async (id: string, tags: string) => (await send({ method: 'PUT', url: `/books/${id}`, headers: { 'if-match': tags } })).status
      assert.deepEqual([await put('new', '*'), await put('new', '"1"')], [412, 412])
      assert.deepEqual([await put('there', '*'), await put('there', '"1"'), await put('there', '"2"')], [200, 200, 412], 'any version will do')
      assert.deepEqual([await put('there', '"*"'), await put('there', '"*", "1"')], [412, 200], 'a tag is no star')
      assert.equal((await send({ method: 'PUT', url: '/notes/9/text', headers: { ...json, 'if-match': '*' }, body: '{"text":"x"}' })).status, 404)
    }))

  it('carries out no command whose handler does not look at the condition that its client made', () =>
    inSystem(async ({ send }) => {
      for (const [name, tags] of [['if-match', '"1"'], ['if-match', '*'], ['if-none-match', '*']] as const) {
        const { status, json: problem } = await send({ method: 'POST', url: '/notes', headers: { ...json, [name]: tags }, body: '{"text":"x"}' })
        assert.deepEqual([status, problem['code']], [412, 'PRECONDITION_FAILED'])
        assert.equal((await send({ method: 'PUT', url: '/tags', headers: { ...json, [name]: tags }, body: '{"a":"b"}' })).status, 412)
      }
      assert.equal((await send({ method: 'GET', url: '/notes/1' })).status, 404, 'nothing was done')
    }))

  it('says that a page has not changed to those alone who have that very page', () =>
    inSystem(async ({ send }) => {
      const get = (headers: Record<string, string>) => send({ method: 'GET', url: '/page', headers })
      const ann = { authorization: 'Bearer good-ann' }
      const mine = await get(ann)
      const theirs = await get({})
      for (const { headers } of [mine, theirs]) assert.deepEqual([headers['cache-control'], headers['vary']], ['private, no-cache', 'authorization'])
      assert.equal((await get({ ...ann, 'if-none-match': theirs.headers['etag']! })).status, 200, 'the version is the same, the page is not')
      const again = await get({ ...ann, 'if-none-match': mine.headers['etag']! })
      assert.deepEqual([again.status, again.headers['etag'], again.headers['vary']], [304, mine.headers['etag'], 'authorization'])
      assert.deepEqual((await send({ method: 'GET', url: '/labels/x' })).headers['cache-control'], 'no-cache', 'what is the same for everybody may be kept for everybody')
    }))

  it('tells caches that an answer depends on the page that asks, also where none did', () =>
    inSystem(async ({ running }) => {
      const gateway = createGateway(running, { host: createNodeHost(), logger: silentLogger, cors: { origins: ['https://page.example'] } })
      const vary = async (headers: Record<string, string>) => (await gateway.handle({ method: 'GET', url: '/page', headers, address: '127.0.0.1', body: async () => '', signal: () => undefined })).headers['vary']
      assert.deepEqual([await vary({}), await vary({ origin: 'https://page.example' }), await vary({ origin: 'https://other.example' })], Array(3).fill('authorization, origin'))
    }))

  it('sends no answer over the limit, and says what to do', () =>
    inSystem(
      async ({ send, running }) => {
        const text = 'x'.repeat(100)
        const take = (headers: Record<string, string> = {}) => send({ method: 'POST', url: '/notes', headers: { ...json, ...headers }, body: JSON.stringify({ text }) })
        const taken = await take()
        assert.deepEqual([taken.status, taken.json['code'], taken.json['effect']], [500, 'ANSWER_TOO_LARGE', 'none'])
        assert.equal((await send({ method: 'GET', url: '/notes/1' })).status, 404, 'it did nothing')
        await running.dispatch('notes.take', { input: { text }, idempotencyKey: 'k' }) // of somebody who takes more
        const again = await take({ 'idempotency-key': 'k' })
        assert.deepEqual([again.status, again.json['code'], again.json['effect']], [500, 'ANSWER_TOO_LARGE', 'done'])
        const read = await send({ method: 'GET', url: '/notes/1' })
        assert.deepEqual([read.status, read.json['code'], read.json['effect']], [500, 'ANSWER_TOO_LARGE', undefined])
        assert.match(String(read.json['detail']), /ask for less at a time/)
      },
      { limits: { answerBytesMax: 100 } },
    ))

  it('takes a request target with scheme and host, as to a proxy', () =>
    inSystem(async ({ send }) => {
      const status = async (url: string) => (await send({ method: 'GET', url })).status
      const urls = ['http://here/count', 'HTTPS://here:443/count?a=b', 'http://here/livez', '/livez?from=balancer', '/readyz?', 'http://here', 'http://here?a=/count', 'here:80', 'count']
      assert.deepEqual(await Promise.all(urls.map(status)), [200, 200, 200, 200, 200, 404, 404, 400, 400])
    }))

  it('takes any text as a version, and hands it back as it was', () =>
    inSystem(async ({ send }) => {
      for (const label of ['☕', 'naïve', 'two words', '"quoted"', '50%', '%41', 'a\r\nset-cookie: b', '\u0001', '👩‍💻']) {
        const url = `/labels/${encodeURIComponent(label)}`
        const { status, headers } = await send({ method: 'GET', url })
        assert.equal(status, 200)
        assert.match(headers['etag']!, /^"[\x21\x23-\x7e]*"$/, label)
        assert.equal((await send({ method: 'GET', url, headers: { 'if-none-match': headers['etag']! } })).status, 304, label)
        assert.equal((await send({ method: 'PUT', url, headers: { 'if-match': headers['etag']! } })).json['ifMatch'], label)
      }
      const unlike = await send({ method: 'PUT', url: '/labels/x', headers: { 'if-match': '"100%"' } })
      assert.equal(unlike.json['ifMatch'], '100%', 'what nobody encoded is taken as it is')
    }))

  it('lets whoever wrote read it at once: by address, by caller, and by the position in the header', () =>
    inSystem(async ({ send, slow }) => {
      const post = (address: string, authorization?: string) => send({ method: 'POST', url: '/notes', headers: { ...json, ...(authorization ? { authorization } : {}) }, body: '{"text":"x"}', address })
      const count = async (address: string, headers: Record<string, string> = {}) => (await send({ method: 'GET', url: '/count', headers, address })).json['count']
      await slow(async (release) => {
        const { headers } = await post('10.0.0.1')
        assert.equal(await count('10.0.0.9'), 0, 'somebody else is not kept waiting')
        const waiting = [count('10.0.0.1'), count('10.0.0.9', { 'atoll-position': headers['atoll-position']! })]
        release()
        assert.deepEqual(await Promise.all(waiting), [1, 1])
      })
    }))

  it('tells clients behind a proxy that it trusts apart by the address that the proxy added', () =>
    inSystem(
      async ({ send, slow }) => {
        const through = (forwarded: string) => ({ address: '10.0.0.1', headers: { ...json, 'x-forwarded-for': forwarded } })
        const count = async (forwarded: string) => (await send({ method: 'GET', url: '/count', ...through(forwarded) })).json['count']
        await slow(async (release) => {
          await send({ method: 'POST', url: '/notes', body: '{"text":"x"}', ...through('203.0.113.7') })
          assert.equal(await count('203.0.113.7, 203.0.113.8'), 0, 'what a client claims itself does not count')
          const waiting = count('198.51.100.1, 203.0.113.7')
          release()
          assert.equal(await waiting, 1)
        })
      },
      { trustProxy: true },
    ))

  it('goes by the address of the connection unless it is told of a proxy', () =>
    inSystem(async ({ send, slow }) => {
      const from = (address: string, forwarded: string) => ({ address, headers: { ...json, 'x-forwarded-for': forwarded } })
      const count = async (address: string, forwarded: string) => (await send({ method: 'GET', url: '/count', ...from(address, forwarded) })).json['count']
      await slow(async (release) => {
        await send({ method: 'POST', url: '/notes', body: '{"text":"x"}', ...from('10.0.0.1', '203.0.113.7') })
        assert.equal(await count('10.0.0.2', '203.0.113.7'), 0, 'a claim changes nothing')
        const waiting = count('10.0.0.1', '203.0.113.8')
        release()
        assert.equal(await waiting, 1)
      })
    }))

  it('takes a command whose page cannot be shown, and says 202', () =>
    inSystem(async ({ send, running }) => {
      assert.deepEqual((await send({ method: 'POST', url: '/shown', headers: json, body: '{}' })).json, { count: 1 })
      await running.services.get('counter')!.stop()
      const { status, json: own } = await send({ method: 'POST', url: '/shown', headers: json, body: '{}' })
      assert.deepEqual([status, own], [202, { taken: true }])
      const { status: refused, headers } = await send({ method: 'GET', url: '/count' })
      assert.deepEqual([refused, headers['retry-after']], [503, '1'])
    }))

  it('refuses what is over its limit of requests before any work is done', () =>
    inSystem(async ({ send, slow }) => {
      await slow(async (release) => {
        const held = Array.from({ length: 5 }, () => send({ method: 'GET', url: '/held' }))
        const { status, json: problem, headers } = await send({ method: 'GET', url: '/held' })
        assert.deepEqual([status, problem['code'], headers['retry-after']], [503, 'OVERLOADED', '1'])
        release()
        for (const answer of await Promise.all(held)) assert.equal(answer.status, 200)
      })
    }))

  it('says whether it lives, and whether it is ready and why not', () =>
    inSystem(async ({ send, running }) => {
      assert.equal((await send({ method: 'GET', url: '/livez' })).status, 200)
      assert.equal((await send({ method: 'GET', url: '/readyz' })).status, 200)
      await running.services.get('counter')!.stop()
      const { status, json: state } = await send({ method: 'GET', url: '/readyz' })
      assert.deepEqual([status, state['reasons']], [503, ['service counter is stopped']])
    }))

  it('says what weakens the promises, for as long as it is so, ready or not', () =>
    inSystem(
      async ({ send }) => {
        const { status, json: state } = await send({ method: 'GET', url: '/readyz' })
        assert.deepEqual([status, state['warnings']], [200, ['log:log.sync-interval is 2m, and was accepted']])
      },
      {},
      { warnings: ['log:log.sync-interval is 2m, and was accepted: set it to always at nats.internal:8222'] },
    ))

  it('keeps the id and the trace of a request that brings them, if they are sane', () =>
    inSystem(async ({ send }) => {
      const id = async (header: string) => (await send({ method: 'GET', url: '/count', headers: { 'x-request-id': header } })).headers['x-request-id']
      assert.equal(await id('order-17.a'), 'order-17.a')
      assert.notEqual(await id('two words'), 'two words')
      assert.notEqual(await id('x'.repeat(65)), 'x'.repeat(65))
    }))
})

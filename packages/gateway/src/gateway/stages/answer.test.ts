import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

const json = { 'content-type': 'application/json' }

describe('the answer to an operation', () => {
  it('sends versions as ETag, and takes them back in If-Match and If-None-Match', () =>
    inSystem(async ({ send }) => {
      await send({ method: 'POST', url: '/notes', headers: json, body: '{"text":"first"}' })
      const etag = (await send({ method: 'GET', url: '/notes/1' })).headers['etag']!
      assert.match(etag, /^"1;[0-9a-f]{24}"$/)
      const unless = async (tags: string) =>
        (await send({ method: 'GET', url: '/notes/1', headers: { 'if-none-match': tags } })).status
      for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) assert.equal(await unless(tags), 304, tags)
      for (const tags of ['"1"', '"x"']) assert.equal(await unless(tags), 200, tags)
      const change = async (tags: string) => {
        const { status, headers } = await send({
          method: 'PUT',
          url: '/notes/1/text',
          headers: { ...json, 'if-match': tags },
          body: '{"text":"second"}',
        })
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

  it('says that a page has not changed to those alone who have that very page', () =>
    inSystem(async ({ send }) => {
      const get = (headers: Record<string, string>) => send({ method: 'GET', url: '/page', headers })
      const ann = { authorization: 'Bearer good-ann' }
      const mine = await get(ann)
      const theirs = await get({})
      for (const { headers } of [mine, theirs])
        assert.deepEqual([headers['cache-control'], headers['vary']], ['private, no-cache', 'authorization'])
      assert.equal(
        (await get({ ...ann, 'if-none-match': theirs.headers['etag']! })).status,
        200,
        'the version is the same, the page is not',
      )
      const again = await get({ ...ann, 'if-none-match': mine.headers['etag']! })
      assert.deepEqual(
        [again.status, again.headers['etag'], again.headers['vary']],
        [304, mine.headers['etag'], 'authorization'],
      )
      assert.deepEqual(
        (await send({ method: 'GET', url: '/labels/x' })).headers['cache-control'],
        'no-cache',
        'what is the same for everybody may be kept for everybody',
      )
    }))

  it('sends no answer over the limit, and says what to do', () =>
    inSystem(
      async ({ send, running }) => {
        const text = 'x'.repeat(100)
        const take = (headers: Record<string, string> = {}) =>
          send({ method: 'POST', url: '/notes', headers: { ...json, ...headers }, body: JSON.stringify({ text }) })
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

  it('takes any text as a version, and hands it back as it was', () =>
    inSystem(async ({ send }) => {
      for (const label of [
        '☕',
        'naïve',
        'two words',
        '"quoted"',
        '50%',
        '%41',
        'a\r\nset-cookie: b',
        '\u0001',
        '👩‍💻',
      ]) {
        const url = `/labels/${encodeURIComponent(label)}`
        const { status, headers } = await send({ method: 'GET', url })
        assert.equal(status, 200)
        assert.match(headers['etag']!, /^"[\x21\x23-\x7e]*"$/, label)
        assert.equal(
          (await send({ method: 'GET', url, headers: { 'if-none-match': headers['etag']! } })).status,
          304,
          label,
        )
        assert.equal(
          (await send({ method: 'PUT', url, headers: { 'if-match': headers['etag']! } })).json['ifMatch'],
          label,
        )
      }
      const unlike = await send({ method: 'PUT', url: '/labels/x', headers: { 'if-match': '"100%"' } })
      assert.equal(unlike.json['ifMatch'], '100%', 'what nobody encoded is taken as it is')
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
})

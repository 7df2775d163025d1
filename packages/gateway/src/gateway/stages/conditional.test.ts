import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { stale } from 'atoll'
import type { Dispatch, Dispatched } from 'atoll/runtime'
import { createGateway } from '../gateway.ts'
import { inSystem } from '../../../test/system.ts'

const json = { 'content-type': 'application/json' }

describe('the gateway, of conditions,', () => {
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
      assert.equal(
        (
          await send({
            method: 'GET',
            url: '/labels/x',
            headers: { 'if-match': ` ,\t"y",${', '.repeat(1_000_000)}"x", ,\t` },
          })
        ).status,
        200,
      )
    }))

  it('asks the handler whether something is new, for If-None-Match: *', () =>
    inSystem(async ({ send }) => {
      const put = async (id: string, tags: string) =>
        (await send({ method: 'PUT', url: `/books/${id}`, headers: { 'if-none-match': tags } })).status
      assert.deepEqual([await put('new', '*'), await put('there', '*'), await put('new', '"1"')], [200, 412, 400])
    }))

  it('asks the handler whether something is there, for If-Match: *: a command that makes or changes must not make what its client forbade to make', () =>
    inSystem(async ({ send }) => {
      const put = async (id: string, tags: string) =>
        (await send({ method: 'PUT', url: `/books/${id}`, headers: { 'if-match': tags } })).status
      assert.deepEqual([await put('new', '*'), await put('new', '"1"')], [412, 412])
      assert.deepEqual(
        [await put('there', '*'), await put('there', '"1"'), await put('there', '"2"')],
        [200, 200, 412],
        'any version will do',
      )
      assert.deepEqual([await put('there', '"*"'), await put('there', '"*", "1"')], [412, 200], 'a tag is no star')
      assert.equal(
        (
          await send({
            method: 'PUT',
            url: '/notes/9/text',
            headers: { ...json, 'if-match': '*' },
            body: '{"text":"x"}',
          })
        ).status,
        404,
      )
    }))

  it('gives all tries of a command one deadline, one trace, and one wait for what was written at its address', async () => {
    let ms = 0
    const asked: Dispatch[] = []
    await inSystem(async ({ running }) => {
      const dispatch = (_: string, request: Dispatch): Promise<Dispatched> => {
        asked.push(request)
        ms += 3_000
        return asked.length < 4
          ? Promise.reject(stale('label', asked.length))
          : Promise.resolve({ output: { label: 'x' }, outcome: 'done', position: { notes: { 0: '7' } } })
      }
      const gateway = createGateway(
        { system: running.system, readiness: () => running.readiness(), dispatch },
        { host: { ...createNodeHost(), monotonicMs: () => ms }, logger: silentLogger },
      )
      const ask = (headers: Record<string, string>) =>
        gateway.handle({
          method: 'PUT',
          url: '/labels/x',
          headers,
          address: '127.0.0.1',
          body: async () => '',
          signal: () => undefined,
        })
      assert.equal((await ask({ 'if-match': '*' })).status, 200)
      assert.equal((await ask({})).status, 200)
    })
    const tries = asked.slice(0, 4)
    assert.deepEqual(
      tries.map(({ ifMatch }) => ifMatch),
      ['*', '1', '2', '3'],
    )
    assert.deepEqual(
      tries.map(({ deadlineMs }) => deadlineMs),
      Array(4).fill(10_000),
    )
    assert.equal(new Set(tries.map(({ trace }) => trace)).size, 1)
    assert.equal(asked[4]!.maybeSeen?.untilMs, 12_500)
  })

  it('carries out no command whose handler does not look at the condition that its client made', () =>
    inSystem(async ({ send }) => {
      for (const [name, tags] of [
        ['if-match', '"1"'],
        ['if-match', '*'],
        ['if-none-match', '*'],
      ] as const) {
        const { status, json: problem } = await send({
          method: 'POST',
          url: '/notes',
          headers: { ...json, [name]: tags },
          body: '{"text":"x"}',
        })
        assert.deepEqual([status, problem['code']], [412, 'PRECONDITION_FAILED'])
        assert.equal(
          (await send({ method: 'PUT', url: '/tags', headers: { ...json, [name]: tags }, body: '{"a":"b"}' })).status,
          412,
        )
      }
      assert.equal((await send({ method: 'GET', url: '/notes/1' })).status, 404, 'nothing was done')
    }))
})

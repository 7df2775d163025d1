import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, projection, query, service, show, system } from '../../index.ts'
import { call, inWorld } from '../../../test/world.ts'
import type { Attributable } from './attribution.ts'

const Note = z.object({ id: z.string() })
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Note })
const notes = contract('notes', { events: [taken], take: command({ input: Note, output: z.void() }) })

/** What stands in for a process that watches over rejections: `stray` is one of whatever runs now. */
const handlings = new AsyncLocalStorage<Attributable>()
const attribution = {
  during: <T>(handling: Attributable, work: () => T): T => handlings.run(handling, work),
  apart: <T>(work: () => T): T => handlings.exit(work),
}
const stray = (text: string): void => handlings.getStore()!.takeStray(new Error(text))

/**
 * A system in which `taking`, `on` and `project` run in the command, in its event's handler and in a projection of it.
 */
function town({
  taking = () => {},
  on: handle = () => {},
  project: apply = () => {},
}: {
  taking?: () => void
  on?: (place: 'before' | 'inside' | 'after') => void
  project?: () => void
}) {
  const pages = projection('pages', {
    store: sqlStore<{ pages: { id: string } }>({ migrations: { '0001': 'CREATE TABLE pages (id TEXT NOT NULL)' } }),
    subscribe: ({ project }) => [
      project(taken, async ({ data }, { db }) => {
        await db.insertInto('pages').values(data).execute()
        apply()
      }),
    ],
  })
  return system('town', {
    services: [
      service(notes, {
        handlers: {
          take: async ({ input, tx }) =>
            void (await tx(({ emit }) => {
              emit(taken, input)
              taking()
            })),
        },
        projections: [pages],
        subscribe: ({ on }) => [
          on(taken, async ({ tx }) => {
            handle('before')
            await tx(() => handle('inside'))
            handle('after')
          }),
        ],
      }),
    ],
  })
}

function atFirst(times: number, work: () => void): () => void {
  let done = 0
  return () => {
    if (done++ < times) work()
  }
}

describe('a rejection that nobody awaits', () => {
  it('undoes the transaction of the command that left it, and is what its caller hears', () =>
    inWorld(async (world) => {
      const running = await world.start(
        town({ taking: atFirst(1, () => stray('of the command')) }),
        {},
        { attribution },
      )
      await assert.rejects(call(running, notes.take, { id: 'a' }), { code: 'INTERNAL', message: /of the command/ })
      await running.quiet()
      assert.deepEqual(await Array.fromAsync(running.admin.events({})), [])
      await call(running, notes.take, { id: 'b' })
    }))

  it('fails the try of an event before its commit, in a handler and in a projection, and no other event of a batch', () =>
    inWorld(async (world) => {
      for (const hooks of [
        { on: atFirst(1, () => stray('of the event')) },
        { project: atFirst(2, () => stray('of the event')) },
      ]) {
        // a batch that fails is applied again, event by event
        const running = await world.start(town(hooks), {}, { attribution })
        for (const id of ['a', 'b', 'c']) await call(running, notes.take, { id })
        await running.quiet()
        await world.host.advance(5_000)
        assert.equal(world.logged.filter(({ fields }) => String(fields['error']).endsWith('of the event')).length, 1)
        assert.ok(
          (await running.admin.ledger()).every(({ balanced, pending, dead }) => balanced && pending + dead === 0),
        )
        assert.deepEqual(await running.admin.deadLetters(), [])
        await running.stop()
        world.logged.length = 0
      }
    }))

  it('is what an event has failed with, also when its handler hangs for want of it', () =>
    inWorld(async (world) => {
      const services = [
        service(notes, {
          handlers: { take: async ({ input, tx }) => void (await tx(({ emit }) => emit(taken, input))) },
          subscribe: ({ on }) => [on(taken, () => (stray('of the event'), new Promise<void>(() => {})))],
        }),
      ]
      const running = await world.start(
        system('town', { services }),
        { attemptsMax: 1, handlingMs: 1_000 },
        { attribution },
      )
      await call(running, notes.take, { id: 'a' })
      await world.host.advance(2_000)
      assert.deepEqual(
        (await running.admin.deadLetters()).map(({ error }) => error.message),
        ['of the event'],
      )
    }))

  it("is its operation's also where schemas and etags leave it, which are the service's code as well", () =>
    inWorld(async (world) => {
      const inside = z.object({ id: z.string().refine(() => (stray('of the input'), true)) })
      const outside = z.object({ id: z.string().refine(() => (stray('of the output'), true)) })
      const etag = (): string => (stray('of the etag'), '1')
      const shelf = contract('shelf', {
        take: command({ input: inside, output: outside, etag }),
        look: query({ input: inside, output: outside, etag }),
      })
      const running = await world.start(
        system('town', {
          services: [
            service(shelf, { handlers: { take: ({ input, tx }) => tx(() => input), look: ({ input }) => input } }),
          ],
        }),
        {},
        { attribution },
      )
      for (const operation of [shelf.take, shelf.look]) {
        world.logged.length = 0
        await call(running, operation, { id: 'a' })
        const told = world.logged.filter(({ level }) => level === 'error').map(({ fields }) => fields)
        assert.deepEqual(
          told.map(({ handling }) => handling),
          Array(3).fill(operation.name),
        )
        assert.deepEqual(
          told.map(({ error }) => String(error).split(' ').at(-1)),
          ['input', 'output', 'etag'],
        )
      }
    }))

  it('is told where the choice of what to show leaves it, and the command is answered', () =>
    inWorld(async (world) => {
      const reading = contract('reading', { look: query({ input: Note, output: Note }) })
      const shelf = contract('shelf', {
        take: command({
          input: Note,
          output: Note,
          show: show(
            () => reading.look,
            ({ id }: { id: string }) => (stray('of show'), { id }),
          ),
        }),
      })
      const running = await world.start(
        system('town', {
          services: [
            service(shelf, { handlers: { take: ({ input, tx }) => tx(() => input) } }),
            service(reading, { handlers: { look: ({ input }) => input } }),
          ],
        }),
        {},
        { attribution },
      )
      const { outcome, output } = await running.dispatch('shelf.take', { input: { id: 'a' }, show: true })
      assert.deepEqual([outcome, output], ['shown', { id: 'a' }])
      assert.deepEqual(
        world.logged
          .filter(({ level }) => level === 'error')
          .map(({ fields }) => [fields['handling'], String(fields['error'])]),
        [['shelf.take', 'AtollError: INTERNAL: of show']],
      )
    }))

  it('is told with its event when that has committed, and changes nothing', () =>
    inWorld(async (world) => {
      const running = await world.start(
        town({
          on: (place) => {
            if (place === 'after') stray('late')
          },
        }),
        {},
        { attribution },
      )
      await call(running, notes.take, { id: 'a' })
      await running.quiet()
      const [line, ...more] = world.logged.filter(({ level }) => level === 'error')
      assert.deepEqual([line!.fields['key'], line!.fields['type'], more.length], ['a', 'note.taken', 0])
      assert.match(String(line!.fields['error']), /late/)
      assert.ok((await running.admin.ledger()).every(({ handled }) => handled === 1))
    }))
})

describe('what a handler asked for and did not write', () => {
  it('runs on behalf of nobody: its store, its relay, the log', () =>
    inWorld(async (world) => {
      const blamed: string[] = []
      const seen = new Set<string>()
      const looking = <T extends object>(target: T, what: string): T =>
        // a driver that says on whose behalf it is asked
        new Proxy(target, {
          get(_, name) {
            const member: unknown = Reflect.get(target, name, target)
            if (typeof member !== 'function') return member
            return (...args: unknown[]): unknown => {
              seen.add(`${what}.${String(name)}`)
              if (handlings.getStore()) blamed.push(`${what}.${String(name)}`)
              const answer: unknown = Reflect.apply(member, target, args)
              return name === 'open' ? (answer as Promise<object>).then((opened) => looking(opened, what)) : answer
            }
          },
        })
      const running = await world.start(
        town({}),
        {},
        { attribution, log: looking(world.log, 'log'), stores: looking(world.stores, 'store') },
      )
      for (const id of ['a', 'b']) await call(running, notes.take, { id })
      await running.quiet()
      assert.deepEqual(blamed, [])
      for (const asked of ['log.append', 'store.write']) assert.ok(seen.has(asked), `${asked} was not asked`)
    }))
})

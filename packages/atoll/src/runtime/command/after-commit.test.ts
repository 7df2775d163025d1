import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { command, contract, event, service, system, type EventContext } from '../../index.ts'
import { call, inWorld, type World } from '../../../test/world.ts'

const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: z.object({ id: z.string() }) })
const notes = contract('notes', { events: [taken], take: command({ input: taken.data, output: z.void() }) })

/** What is logged of one note whose handler is `handle`, and how often that ran. */
async function after(world: World, handle: (context: EventContext<unknown, { id: string }, never>) => unknown) {
  let tries = 0
  const subscribing = service(notes, {
    handlers: { take: async ({ input, tx }) => void (await tx(({ emit }) => emit(taken, input))) },
    // it uses no tables and emits nothing
    subscribe: ({ on }) => [on(taken, (context) => (tries++, handle(context as never)))],
  })
  const running = await world.start(system('town', { services: [subscribing] }), { handlingMs: 1_000, attemptsMax: 2 })
  await call(running, notes.take, { id: 'a' })
  await world.host.advance(60_000)
  const [row] = await running.admin.ledger()
  assert.deepEqual(
    [tries, row!.handled, row!.balanced],
    [1, 1, true],
    'its effect has committed: it is not tried again',
  )
  const [record] = await Array.fromAsync(running.admin.events({}))
  const lines = world.logged.filter(({ level }) => level !== 'info')
  for (const { level, fields } of lines)
    assert.deepEqual(
      [level, fields['subscription'], fields['event'], fields['key'], fields['trace']],
      ['error', 'notes', record!.id, 'a', record!.trace],
    )
  return lines.map(({ fields }) => String(fields['error']))
}

describe('what a handler does after its transaction has committed', () => {
  it('is logged with its event when it fails, and the event stays handled', () =>
    inWorld(async (world) => {
      const failed = await after(world, async ({ tx }) => {
        await tx(() => {})
        throw new Error('the mail could not be sent')
      })
      assert.deepEqual(failed, ['AtollError: INTERNAL: the mail could not be sent'])
    }))

  it('is logged when it is a second transaction, awaited or not', async () => {
    for (const second of [
      async ({ tx }: EventContext<unknown, { id: string }, never>) => {
        await tx(() => {})
        await tx(() => {})
      },
      async ({ tx }: EventContext<unknown, { id: string }, never>) => {
        await tx(() => {})
        void tx(() => {})
      },
      ({ tx }: EventContext<unknown, { id: string }, never>) => {
        void tx(() => {})
        void tx(() => {})
      },
    ]) {
      await inWorld(async (world) => {
        const [failed, ...more] = await after(world, second)
        assert.match(failed!, /TX_REPEATED/)
        assert.deepEqual(more, [])
      })
    }
  })

  it('is logged when it takes longer than a handler may, and again if it fails then', () =>
    inWorld(async (world) => {
      const failed = await after(world, async ({ tx }) => {
        await tx(() => {})
        await new Promise<void>((resolve) => world.host.after(30_000, resolve))
        throw new Error('the mail could not be sent')
      })
      assert.deepEqual(
        failed.map((error) => /[A-Z_]{5,}/.exec(error)![0]),
        ['DEADLINE_EXCEEDED', 'INTERNAL'],
      )
    }))

  it('says nothing when it ends well', () =>
    inWorld(async (world) => {
      assert.deepEqual(
        await after(world, async ({ tx }) => {
          await tx(() => {})
        }),
        [],
      )
    }))
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogFields } from '@atoll/host'
import { z } from 'zod'
import { command, contract, event, service, system } from '../../index.ts'
import { call, inWorld } from '../../../test/world.ts'

const Id = z.object({ id: z.string() })
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Id })

describe('what a handler logs', () => {
  const odd: Readonly<Record<string, () => LogFields>> = {
    'a field that throws': () => ({
      id: 'a',
      get total(): number {
        throw new Error('not yet')
      },
    }),
    'a proxy that is revoked': () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
  }
  for (const [what, fields] of Object.entries(odd)) {
    it(`does not make it fail, and its line is there: ${what}`, () =>
      inWorld(async (world) => {
        const notes = contract('notes', { events: [taken], take: command({ input: Id, output: z.void() }) })
        const notesService = service(notes, {
          handlers: {
            take: async ({ input, tx, log }) => {
              log.warn(fields(), 'taking')
              await tx(({ emit }) => emit(taken, input))
            },
          },
          subscribe: ({ on }) => [on(taken, ({ log }) => log.info(fields(), 'seen'))],
        })
        const running = await world.start(system('town', { services: [notesService] }), { attemptsMax: 1 })
        await call(running, notes.take, { id: 'a' })
        await running.quiet()
        assert.deepEqual(await running.admin.deadLetters(), [])
        const lines = world.logged.filter(({ message }) => message === 'taking' || message === 'seen')
        assert.deepEqual(
          lines.map(({ level, message, fields: written }) => [
            level,
            message,
            written['service'],
            Object.values(written).includes('this could not be looked at'),
          ]),
          [
            ['warn', 'taking', 'notes', true],
            ['info', 'seen', 'notes', true],
          ],
        )
      }))
  }
})

import assert from 'node:assert/strict'
import type { Simulation } from '@atoll/testkit'
import { identity } from 'conduit/src/identity/contract.ts'
import { act, createPerson, foreignPosition, type People } from './people.ts'
import { assertPagesFit } from './pages.ts'

const NAMES = ['ada', 'basil', 'cleo', 'dora']
/** In virtual time; a causal read waits for 5 s. */
const WAIT_MS_MAX = 1_000

/**
 * Random people write, read, follow and delete. Each sees what it has just done, at once; in the end `reading` shows
 * what the others own.
 */
export const conduitSimulation: Simulation<People> = {
  world: { gateway: { basePath: '/api' } },
  clients: NAMES.length,
  steps: 40,
  least: { events: 200, faults: 5 },
  faultCount: { least: 12, most: 20 }, // of twice as many services
  begin: () => ({ persons: [], slugs: [], titles: new Map(), comments: new Map() }),

  async setup({ world, state }) {
    for (const username of NAMES) {
      const { userId } = await world.call(identity.enrol, {
        username,
        email: `${username}@example.com`,
        passwordHash: 'none',
        bio: null,
        image: null,
      })
      state.persons.push(createPerson(username, userId))
    }
  },

  // one client for each
  workload: (client) => act(client, client.state.persons[Number(client.name.split('-')[1]) - 1]!),

  invariants: {
    settled: {
      'reading shows what the others own': ({ world, state }) => assertPagesFit(world, state),
      'nobody waits for a position of another history': async ({ world, state: { persons } }) => {
        const sinceMs = world.clock.now()
        const { status } = await world.request('GET', '/api/articles/feed', {
          as: persons[0]!.userId,
          headers: { 'atoll-position': foreignPosition(world) },
        })
        assert.equal(status, 200)
        assert.ok(world.clock.now() - sinceMs < WAIT_MS_MAX, `it was answered after ${world.clock.now() - sinceMs} ms`)
      },
    },
  },
}

import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Glimpse, Simulation } from '@atoll/testkit'
import { handlers, notes, type HandledTables, type IndexTables } from './system.ts'

/** What clients know for certain. */
interface Knowledge {
  count: number
  /** Until when it had been, milliseconds since the world began. */
  readonly acknowledged: Map<string, number>
}

/**
 * Notes are taken while any parts of the system come back from backups of any moments. Whatever comes of that: what is
 * ready has handled every event that there is, each once, and all accounts of it balance; and what cannot have, says so
 * until the remedy has been applied.
 */
export const restoresSimulation: Simulation<Knowledge> = {
  faults: ['restore', 'crash', 'failure', 'delay', 'pause', 'second', 'stop', 'power', 'clock', 'latency', 'drain'],
  faultCount: { least: 2, most: 8 },
  least: { events: 20, faults: 2 },
  begin: () => ({ count: 0, acknowledged: new Map() }),
  async workload({ call, name, state, world }) {
    const id = `${name}-${state.count++}`
    try {
      await call(notes.take, { id }, { as: id }) // of whom nobody remembers what is gone
      state.acknowledged.set(id, world.clock.elapsedMs)
    } catch (error) {
      if (AtollError.from(error).code !== 'STORE_OUTDATED') throw error
    }
  },
  invariants: {
    always: {
      'what is ready has handled what is behind it': async (glimpse) => {
        if (!glimpse.readiness().ready) return
        const waiting = new Set(
          (await glimpse.ledger())
            .filter(({ pending, parked, dead }) => pending + parked + dead > 0)
            .map(({ subscription }) => subscription),
        )
        await assertHandled(glimpse, ({ subscription }) => !waiting.has(subscription))
      },
      'no account balances of a subscription that is halted': async ({ readiness, ledger }) => {
        const halted = readiness().reasons.flatMap((reason) => /^(\S+) is halted: LOG_/.exec(reason)?.[1] ?? [])
        const balanced = (await ledger()).filter((row) => row.balanced && halted.includes(row.subscription))
        assert.deepEqual(balanced, [])
      },
    },
    settled: {
      'every event is handled, once': ({ world }) =>
        assertHandled({ db: (service) => world.db(service), events: (event) => world.events(event) }, () => true),
      'no acknowledged note is lost, unless it came after what was put back': async ({
        world,
        state,
        lostSinceMs = Infinity,
      }) => {
        const taken = new Set((await world.events(handlers[0].event)).map(({ key }) => key))
        for (const [id, byMs] of state.acknowledged)
          assert.ok(taken.has(id) || byMs >= lostSinceMs, `${id} was acknowledged by ${byMs} ms, and is lost`)
      },
    },
  },
}

async function assertHandled(
  { db, events }: Pick<Glimpse, 'db' | 'events'>,
  which: (handler: (typeof handlers)[number]) => boolean,
): Promise<void> {
  for (const { store, table, event } of handlers.filter(which)) {
    const rows = await db<HandledTables & IndexTables>(store).selectFrom(table).select('event').execute()
    for (const { id, number, partition } of await events(event)) {
      assert.equal(
        rows.filter((row) => row.event === id).length,
        1,
        `${store} has handled ${event.name} ${partition}/${number}`,
      )
    }
  }
}

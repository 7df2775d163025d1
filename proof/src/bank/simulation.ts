import assert from 'node:assert/strict'
import type { Client, Simulation } from '@atoll/testkit'
import type { AuditorTables } from './auditor.ts'
import { bankNames, banks, type BankName } from './contracts.ts'
import type { BankTables as OwnTables } from './service.ts'
import type { StatementTables } from './statements.ts'
import { nextSystem } from './system.ts'

/** With the runtime's timers, to look at. */
type BankTables = OwnTables & { atoll_timers: { id: string } }

/** What clients know for certain: which transfers were acknowledged, which refused, and which they asked for at all. */
interface Knowledge {
  readonly asked: Map<string, { from: BankName; cents: number }>
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
}

const ACCOUNTS = ['ann', 'ben', 'cid', 'dan']
const OPENED_WITH = 1_000
const BURST = 8
const TOTAL = bankNames.length * ACCOUNTS.length * OPENED_WITH

async function send({ name, random, call, state }: Client<Knowledge>): Promise<void> {
  const [from, bank] = random.shuffle(bankNames) as [BankName, BankName] // there are three
  const transferId = `${name}-${state.asked.size}`
  const cents = 1 + random.int(400)
  const account = random.chance(0.15) ? 'nobody' : random.pick(ACCOUNTS)
  state.asked.set(transferId, { from, cents })
  const { status } = await call(banks[from].operations.send, {
    transferId,
    from: random.pick(ACCOUNTS),
    bank,
    account,
    cents,
  })
  state[status === 'sent' ? 'acknowledged' : 'refused'].add(transferId)
}

/** Random transfers between three banks, some of them to accounts that do not exist. */
export const bankSimulation: Simulation<Knowledge> = {
  steps: 4,
  faultCount: { least: 12, most: 18 },
  next: nextSystem,
  least: { events: 200, faults: 5 },
  begin: () => ({ asked: new Map(), acknowledged: new Set(), refused: new Set() }),

  async setup({ world }) {
    for (const bank of bankNames)
      for (const account of ACCOUNTS) await world.call(banks[bank].operations.open, { account, cents: OPENED_WITH })
  },

  async workload(client) {
    // Now and then many at once, which then share commits.
    const sends = Array.from({ length: client.random.chance(0.25) ? BURST : 1 }, () => send(client))
    for (const sent of await Promise.allSettled(sends)) if (sent.status === 'rejected') throw sent.reason
  },

  invariants: {
    always: {
      'no money is made or lost': async ({ db }) => {
        let total = 0
        const transfers: BankTables['transfers'][] = []
        const credited = new Set<string>()
        for (const bank of bankNames) {
          const tables = db<BankTables>(bank)
          for (const { cents } of await tables.selectFrom('accounts').selectAll().execute()) total += cents
          transfers.push(...(await tables.selectFrom('transfers').selectAll().execute()))
          for (const receipt of await tables.selectFrom('receipts').selectAll().execute())
            if (receipt.credited) credited.add(receipt.transfer_id)
        }
        for (const { transfer_id, status, cents } of transfers) {
          if (status === 'open' && !credited.has(transfer_id)) total += cents // on its way, there or back
          assert.ok(status !== 'returned' || !credited.has(transfer_id), `${transfer_id} was credited and returned`)
          assert.ok(status !== 'done' || credited.has(transfer_id), `${transfer_id} is done and was not credited`)
        }
        assert.equal(total, TOTAL)
      },
      'statements hear of every change of an account once, one after the other': async ({ db }) => {
        assert.deepEqual(await db<StatementTables>('statements').selectFrom('disorders').selectAll().execute(), [])
      },
      'no transfer is applied twice, and none is reminded of twice': async ({ db }) => {
        for (const bank of bankNames) {
          const tables = db<BankTables>(bank)
          assert.deepEqual(
            await tables.selectFrom('receipts').select('transfer_id').where('times', '>', 1).execute(),
            [],
          )
          assert.deepEqual(
            await tables
              .selectFrom('transfers')
              .select('transfer_id')
              .where((row) => row.or([row('answers', '>', 1), row('reminders', '>', 1)]))
              .execute(),
            [],
          )
          assert.deepEqual(
            await tables
              .selectFrom('transfers')
              .select('transfer_id')
              .where('in_time', '=', 1)
              .where('reminders', '>', 0)
              .execute(),
            [],
            'a timer rang that was cancelled in time',
          )
          const timers = await tables
            .selectFrom('transfers')
            .innerJoin('atoll_timers', 'atoll_timers.id', 'transfers.timer')
            .select(['transfer_id', 'status'])
            .execute()
          for (const { transfer_id, status } of timers)
            assert.equal(status, 'open', `${transfer_id} has ended, and still has a timer`)
        }
      },
    },
    settled: {
      // Until then its event may be on its way, or fail.
      'each timer that was not cancelled in time has rung': async ({ world }) => {
        for (const bank of bankNames) {
          assert.deepEqual(
            await world
              .db<BankTables>(bank)
              .selectFrom('transfers')
              .select('transfer_id')
              .where('in_time', '=', 0)
              .where('reminders', '=', 0)
              .execute(),
            [],
          )
        }
      },
      'statements are as the accounts': async ({ world }) => {
        const stated = new Map(
          (await world.db<StatementTables>('statements').selectFrom('statements').selectAll().execute()).map((row) => [
            row.account,
            row,
          ]),
        )
        for (const bank of bankNames) {
          for (const { account, cents, moves } of await world
            .db<BankTables>(bank)
            .selectFrom('accounts')
            .selectAll()
            .execute()) {
            const statement = stated.get(`${bank}/${account}`)
            assert.deepEqual(
              [statement?.move ?? 0, OPENED_WITH + (statement?.cents ?? 0)],
              [moves, cents],
              `${bank}/${account}`,
            )
          }
        }
      },
      'an auditor that came later has each transfer once': async ({ world }) => {
        if (!world.system.services.some(({ name }) => name === 'auditor')) return
        const sent: string[] = []
        for (const bank of bankNames)
          for (const { transfer_id, cents } of await world
            .db<BankTables>(bank)
            .selectFrom('transfers')
            .selectAll()
            .execute())
            sent.push(`${transfer_id} ${cents} 1`)
        const audited = await world.db<AuditorTables>('auditor').selectFrom('audits').selectAll().execute()
        assert.deepEqual(
          audited.map(({ transfer_id, cents, times }) => `${transfer_id} ${cents} ${times}`).sort(),
          sent.sort(),
        )
      },
      'each acknowledged transfer is done or returned, each refused one was never sent': async ({ world, state }) => {
        const ended = new Set<string>()
        for (const bank of bankNames) {
          for (const { transfer_id, status } of await world
            .db<BankTables>(bank)
            .selectFrom('transfers')
            .selectAll()
            .execute()) {
            assert.notEqual(status, 'open', `${transfer_id} is still on its way`)
            assert.ok(state.asked.has(transfer_id), `nobody asked for ${transfer_id}`)
            assert.ok(!state.refused.has(transfer_id), `${transfer_id} was refused, and sent`)
            ended.add(transfer_id)
          }
        }
        for (const transferId of state.acknowledged)
          assert.ok(ended.has(transferId), `${transferId} was acknowledged, and is lost`)
      },
    },
  },
}

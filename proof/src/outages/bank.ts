import { setTimeout as after } from 'node:timers/promises'
import { createNodeHost } from '@atoll/host/node'
import { openPool, type Pool } from '@atoll/postgres'
import { createRandom, type Random } from '@atoll/testkit'
import { bankNames, type BankName } from '../bank/contracts.ts'
import bank from '../bank/system.ts'
import { judgeLedger } from '../crash/control.ts'
import type { Counts } from '../crash/history.ts'
import { between } from '../crash/random.ts'
import { Client } from '../crash/requests.ts'
import { Violation } from '../crash/round.ts'
import type { App, Trial } from './app.ts'
import type { Cluster } from './cluster.ts'
import { readLog } from './observe.ts'
import { whenQuiet } from './quiet.ts'

export const bankApp: App = {
  system: bank,
  module: 'proof/src/bank/served.ts',
  groups: [['north'], ['east', 'south'], ['statements']],
  createTrial: (cluster, seed) => new BankTrial(cluster, seed),
}

/** One transfer that somebody asked for. */
interface Transfer {
  readonly id: string
  readonly bank: BankName
  readonly body: object
}

/**
 * Transfers between three banks, some of them to accounts that do not exist. Those whose answer was lost are asked for
 * again, later.
 */
class BankTrial implements Trial {
  acknowledged = 0
  readonly counts: Counts = { acknowledged: 0, refused: 0, unknown: 0, again: 0 }
  readonly #cluster: Cluster
  readonly #random: Random
  #pool: Pool | undefined
  #asked = 0
  /** Transfer → what its client was told of it. */
  readonly #told = new Map<string, 'sent' | 'not sent' | 'unknown'>()
  #again: Transfer[] = []
  #isOn = false
  #workers: Promise<unknown> = Promise.resolve()

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster
    this.#random = createRandom(seed)
  }

  async start(): Promise<void> {
    this.#pool = openPool({
      url: this.#cluster.engines.stores.engine.url,
      host: createNodeHost(),
      applicationName: 'proof',
      connectionsMax: 2,
    })
    // No event tells of it, so nobody has to be asked.
    for (const name of bankNames)
      for (const account of ACCOUNTS)
        await this.#pool.query(`INSERT INTO ${table(name, 'accounts')} VALUES ('${account}', ${OPENED_WITH}, 0)`)
  }

  run(): void {
    const client = new Client(this.#cluster.gatewayUrl, true)
    const again = this.#again.splice(0)
    this.#isOn = true
    this.#workers = Promise.all(Array.from({ length: WORKERS }, () => this.#work(client, again))).finally(() => {
      client.close()
      this.#again.push(...again)
    })
  }

  async rest(): Promise<void> {
    this.#isOn = false
    await this.#workers
  }

  async check(boundMs: number): Promise<number> {
    const { accounts, tookMs } = await whenQuiet(this.#cluster, boundMs)
    const logged = await readLog(this.#cluster)
    const findings = [...judgeLedger(accounts, logged.types), ...logged.findings, ...(await this.#judge())]
    if (findings.length > 0) throw new Violation(`${findings.slice(0, 10).join('\n')}\n${this.#cluster.said()}`)
    return tookMs
  }

  async stop(): Promise<void> {
    await this.rest()
    await this.#pool?.close()
  }

  async #work(client: Client, again: Transfer[]): Promise<void> {
    while (this.#isOn) {
      const repeated = again.shift()
      const transfer = repeated ?? this.#next()
      if (!repeated) this.#told.set(transfer.id, 'unknown')
      else this.counts.again++
      const { outcome, status, body } = await client.send({
        method: 'POST',
        path: `/${transfer.bank}/transfers`,
        body: transfer.body,
      })
      // What was refused had no effect, and what was asked for before may have had one then.
      const isKnown = outcome === 'acknowledged' || (outcome === 'refused' && !repeated)
      this.counts[isKnown ? outcome : 'unknown']++
      if (outcome === 'acknowledged') this.acknowledged++
      if (isKnown)
        this.#told.set(
          transfer.id,
          outcome === 'acknowledged' && (body as { status: string }).status === 'sent' ? 'sent' : 'not sent',
        ) // as its contract has it
      else this.#again.push(transfer)
      await after(status === 0 || status >= 500 ? AGAIN_MS : between(this.#random, 0, THINKING_MS))
    }
  }

  #next(): Transfer {
    const from = this.#random.pick(bankNames)
    const id = `transfer-${++this.#asked}`
    const account = this.#random.chance(0.15) ? 'nobody' : this.#random.pick(ACCOUNTS)
    const to = this.#random.pick(bankNames.filter((name) => name !== from))
    return {
      id,
      bank: from,
      body: {
        transferId: id,
        from: this.#random.pick(ACCOUNTS),
        bank: to,
        account,
        cents: between(this.#random, 1, 400),
      },
    }
  }

  async #judge(): Promise<string[]> {
    const all = async <Row>(sql: string): Promise<Row[]> => (await this.#pool!.query<Row>(sql)).rows // it was started
    const found: string[] = []
    for (const [what, sql] of contradictions)
      for (const row of (await all(sql)).slice(0, 3)) found.push(`${what}: ${JSON.stringify(row)}`)
    const [sum] = await all<{ cents: string }>(
      `SELECT sum(cents) AS cents FROM (${ofEach((name) => `SELECT cents FROM ${table(name, 'accounts')}`)}) AS all_accounts`,
    )
    // a sum has one row
    if (Number(sum!.cents) !== TOTAL) found.push(`all accounts hold ${sum!.cents} cents instead of ${TOTAL}`)
    const sent = new Set(
      (
        await all<{ id: string }>(`${ofEach((name) => `SELECT transfer_id AS id FROM ${table(name, 'transfers')}`)}`)
      ).map(({ id }) => id),
    )
    for (const id of sent) if (!this.#told.has(id)) found.push(`nobody asked for ${id}`)
    for (const [id, told] of this.#told) {
      if (told === 'sent' && !sent.has(id)) found.push(`${id} was acknowledged, and is lost`)
      if (told === 'not sent' && sent.has(id)) found.push(`${id} was refused, and sent`)
    }
    return found
  }
}

const ACCOUNTS = ['ann', 'ben', 'cid', 'dan']
/** So much that most transfers find money, and some do not. */
const OPENED_WITH = 10_000
const TOTAL = bankNames.length * ACCOUNTS.length * OPENED_WITH
const WORKERS = 12
/**
 * The longest that a client thinks before it asks for the next. Without a thought they ask for more than a small
 * machine can handle while an engine is away, and how long it takes to come to rest is how much they had asked for.
 */
const THINKING_MS = 600
/** Between tries, while a process or an engine is being started again. */
const AGAIN_MS = 50

const table = (store: string, name: string): string => `"${bank.name}_${store}".${name}`
const ofEach = (select: (name: BankName) => string): string => bankNames.map(select).join(' UNION ALL ')
const transfers = ofEach(
  (name) => `SELECT transfer_id, status, cents, reminders, answers, timer, in_time FROM ${table(name, 'transfers')}`,
)
const receipts = ofEach((name) => `SELECT transfer_id, cents, credited, times FROM ${table(name, 'receipts')}`)

/** Each finds nothing in banks that are at rest. */
const contradictions: readonly (readonly [what: string, sql: string])[] = [
  ['a transfer that has not ended', `SELECT * FROM (${transfers}) AS t WHERE status = 'open'`],
  [
    'a transfer whose timer was cancelled in time and rang, or was not and did not',
    `SELECT * FROM (${transfers}) AS t WHERE in_time = reminders`,
  ],
  [
    'a transfer that was answered or reminded of twice',
    `SELECT * FROM (${transfers}) AS t WHERE answers <> 1 OR reminders > 1`,
  ],
  ['a transfer that came twice', `SELECT * FROM (${receipts}) AS r WHERE times <> 1`],
  [
    'a transfer that is not what its receipt says',
    `SELECT * FROM (${transfers}) AS t FULL JOIN (${receipts}) AS r USING (transfer_id, cents) WHERE (t.status = 'done') IS DISTINCT FROM (r.credited = 1)`,
  ],
  [
    'a transfer that has ended, and still has a timer',
    `SELECT transfer_id FROM (${transfers}) AS t JOIN (${ofEach((name) => `SELECT id FROM ${table(name, 'atoll_timers')}`)}) AS timers ON timers.id = t.timer`,
  ],
  ['a change of an account that was out of order', `SELECT * FROM ${table('statements', 'disorders')}`],
  [
    'an account that is not as its statement',
    `SELECT * FROM (${ofEach((name) => `SELECT '${name}/' || account AS account, moves, cents - ${OPENED_WITH} AS cents, 1 AS said FROM ${table(name, 'accounts')} WHERE moves > 0`)}) AS a
    FULL JOIN (SELECT account, move AS moves, cents, 1 AS stated FROM ${table('statements', 'statements')}) AS s USING (account, moves, cents) WHERE said IS NULL OR stated IS NULL`,
  ],
]

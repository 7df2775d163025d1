import { reach, type Patch } from '../patches.ts'

/**
 * The code with one promise broken, and where a kill shows it. Whoever proves the code must catch every one of them.
 */
export interface Sabotage {
  readonly name: string
  readonly patches: readonly Patch[]
  /** A point of `points.ts`, or one that the patches bring along. */
  readonly point: string
  /** Passages before the kill come, by chance, up to this many. */
  readonly nthMax: number
}

const runtime = 'packages/atoll/src/runtime'
const batch = `${runtime}/subscription/batch.ts`
const mark =
  'for (const record of batch.records) book.mark(tx, cursor, record, handled.has(record) ? record.type : undefined)'
const logWriter = 'packages/log/src/drivers/embedded/writer.ts'
const HERE = 'sabotage: here'

export const sabotages: readonly Sabotage[] = [
  {
    name: 'answers before the commit',
    patches: [
      {
        file: 'packages/store/src/drivers/sqlite/writer.ts',
        find: 'group.written.push(write)',
        replace: 'group.written.push(write); write.resolve(result)',
      },
    ],
    point: 'store: before commit',
    nthMax: 120,
  },
  {
    name: 'moves the cursor after the effect has committed',
    patches: [
      {
        file: batch,
        find: `      ${mark}\n    }, `,
        replace: `    })\n    ${reach(HERE)}\n    await ground.store.write(async (tx) => { opened = tx; ${mark} }, `,
      },
    ],
    point: HERE,
    nthMax: 60,
  },
  {
    name: 'moves the cursor before the effect',
    patches: [
      {
        file: batch,
        find: '    await ground.store.write(async (tx) => {\n      opened = tx\n      await book.check(tx)',
        replace: `    await ground.store.write(async (tx) => { opened = tx; for (const record of batch.records) book.mark(tx, cursor, record, batch.concerns(record) ? record.type : undefined) })\n    book.confirm(opened.commit)\n    ${reach(HERE)}\n    await ground.store.write(async (tx) => {\n      opened = tx\n      await book.check(tx)`,
      },
      { file: batch, find: mark, replace: '' },
    ],
    point: HERE,
    nthMax: 60,
  },
  {
    name: 'numbers events from where the log ends',
    patches: [
      {
        file: `${runtime}/relay/relay.ts`,
        find: 'this.#numbers.set(row.partition, row.number)',
        replace: 'this.#numbers.set(row.partition, (await this.#log.tail(this.#service, row.partition))?.number ?? 0)',
      },
    ],
    point: 'relay: between append and tidying',
    nthMax: 60,
  },
  {
    name: 'takes events from the outbox before the log has them',
    patches: [
      {
        file: `${runtime}/relay/relay.ts`,
        find: 'await this.#log.append(this.#service, records)',
        replace: `await this.#store.write((tx) => tx.run(deleteOutbox, [rows[rows.length - 1]!.seq])); ${reach(HERE)} await this.#log.append(this.#service, records)`,
      },
    ],
    point: HERE,
    nthMax: 60,
  },
  {
    name: 'tidies the outbox in two transactions',
    patches: [
      {
        file: `${runtime}/relay/tidying.ts`,
        find: 'await store.write(async (tx) => {\n        await assertRelays(tx, service, epoch)',
        replace: `await store.write((tx) => tx.run(deleteOutbox, [seq]))\n ${reach(HERE)}\n await store.write(async (tx) => {\n        await assertRelays(tx, service, epoch)`,
      },
    ],
    point: HERE,
    nthMax: 15,
  },
  {
    name: 'answers an append before the log has committed it',
    patches: [
      { file: logWriter, find: 'this.#commit.run()', replace: '' },
      {
        file: logWriter,
        find: 'this.#begin.run()',
        replace: `if (!this.#database.inTransaction) { this.#begin.run(); setTimeout(() => { ${reach(HERE)} this.#commit.run() }, 200) }`,
      },
    ],
    point: HERE,
    nthMax: 6,
  },
  {
    name: 'records the answer to an Idempotency-Key in a transaction of its own',
    patches: [
      {
        file: `${runtime}/command/operations.ts`,
        find: 'record: slot && ((tx, _, position) => slot.record(tx, { ...answer.given, position: mergePositions(handling.position, position) })),',
        replace: `record: slot && (async (_, __, position) => { setTimeout(() => { ${reach(HERE)} void ground.store.write((tx) => slot.record(tx, { ...answer.given, position: mergePositions(handling.position, position) })) }, 1) }),`,
      },
    ],
    point: HERE,
    nthMax: 30,
  },
  {
    name: 'notes the seed as done before it is',
    patches: [
      {
        file: 'packages/cli/src/start.ts',
        find: 'await seed(system, running)\n      markFinished(data)',
        replace: 'markFinished(data)\n      await seed(system, running)',
      },
    ],
    point: 'seeding: in the midst',
    nthMax: 300,
  },
]

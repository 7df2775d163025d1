import { reach, type Patch } from '../patches.ts'

/**
 * When a point is passed: while requests come in, at each start, only at the first start of a data folder, or while it
 * drains.
 */
export type Phase = 'load' | 'start' | 'first start' | 'stop'

/** A named place in the code where a process may be killed. */
export interface Point {
  readonly name: string
  readonly phase: Phase
  /** The kill comes at a passage between the first and this one, by chance. */
  readonly nthMax: number
  readonly patch: Patch
}

const writer = 'packages/store/src/drivers/sqlite/writer.ts'
const migrations = 'packages/store/src/drivers/sqlite/migrate.ts'
const logWriter = 'packages/log/src/drivers/embedded/writer.ts'
const logAppender = 'packages/log/src/drivers/embedded/appender.ts'
const logDriver = 'packages/log/src/drivers/embedded/driver.ts'
const runtime = 'packages/atoll/src/runtime'
const relay = `${runtime}/relay/relay.ts`
const tidying = `${runtime}/relay/tidying.ts`
const start = 'packages/cli/src/start.ts'

export const points: readonly Point[] = [
  after('store: between two transactions of one commit', 'load', 300, writer, 'group.written.push(write)'),
  before('store: before commit', 'load', 400, writer, 'this.#control.commit.run()'),
  before('store: after commit, before answering', 'load', 400, writer, 'group.answer()'),
  within(
    'log: between two records',
    'load',
    300,
    logWriter,
    'this.#insertRecord.run(values.slice(at, at + recordColumns))',
  ),
  before('log: before commit', 'load', 160, logWriter, 'this.#commit.run()'),
  after('log: after commit, before the answer', 'load', 160, logWriter, 'this.#commit.run()'),
  before('log: answered, before readers see it', 'load', 160, logAppender, 'const moved = this.#publish(addition)'),
  within('log: seen, before readers are told', 'load', 160, logDriver, 'listeners.tell(source, [partition])'),
  before('relay: before append', 'load', 160, relay, 'await this.#log.append(this.#service, records)'),
  after('relay: between append and tidying', 'load', 160, relay, 'await this.#log.append(this.#service, records)'),
  after('relay: inside tidying, rows deleted', 'load', 50, tidying, 'await tx.run(deleteOutbox, [seq])'),
  after(
    'relay: inside tidying, numbers noted',
    'load',
    50,
    tidying,
    'await tx.runEach(upsertStream, [...tails].map(([partition, { number, seq, id }]) => [partition, number, seq, id]))',
  ),
  before('relay: after tidying', 'load', 50, tidying, 'this.#isUnsure = false\n    } catch (error) {'),
  after('subscription: between two effects', 'load', 300, `${runtime}/subscription/batch.ts`, 'handled.add(record)'),
  before('subscription: between effect and cursor', 'load', 300, writer, 'runHooks(group, queries).then('),
  after(
    'subscription: between cursor and count',
    'load',
    300,
    `${runtime}/subscription/cursor-book.ts`,
    'const writes = Array.from(moved, (cursor) => this.#write(queries, cursor))',
  ),
  before(
    'subscription: after commit',
    'load',
    300,
    `${runtime}/subscription/batch.ts`,
    'for (const [record, reason] of newlyHeld) held.note(record, reason)',
  ),

  before('recovery: before the log opens', 'start', 1, start, 'const log = await createEmbeddedLog('),
  before(
    'recovery: between log and stores',
    'start',
    1,
    start,
    'const stores = createSqliteStores({ folder: data, host })',
  ),
  before(
    'recovery: between the opening of stores',
    'start',
    6,
    `${runtime}/service/service-runtime.ts`,
    'const store = await stores.open(',
  ),
  after(
    'recovery: leases half taken',
    'start',
    7,
    `${runtime}/leases.ts`,
    'await tx.runEach(takeLease, [...kept, ...taken].map(([partition, epoch]) => [this.#subscription, partition, instance, epoch, expiresAt]))',
  ),
  before(
    'recovery: leases taken, before cursors are read',
    'start',
    60,
    `${runtime}/subscription/partition-reader.ts`,
    'await this.#book.load(store.reader, events)',
  ),
  before(
    'recovery: relays run, before subscriptions',
    'start',
    5,
    `${runtime}/service/service-runtime.ts`,
    "this.#admission.accepts = 'everybody'",
  ),
  before('recovery: before the gateway opens', 'start', 1, start, 'const gateway = gatewayOf &&'),
  before(
    'recovery: before the control socket',
    'start',
    1,
    'packages/cli/src/commands/dev.ts',
    'return await listenForCommands(',
  ),
  before(
    'recovery: between control socket and its note',
    'start',
    1,
    'packages/cli/src/control/server.ts',
    'writePrivately(join(data, CONTROL_FILE)',
  ),

  before(
    'first start: file created, before it is signed',
    'first start',
    8,
    'packages/sqlite/src/database.ts',
    'database.pragma(`application_id = ${applicationId}`)',
  ),
  after(
    'first start: in the midst of migrations',
    'first start',
    8,
    migrations,
    'note.run(name, host.digest(sql), host.now())',
  ),
  before('first start: migrated, before commit', 'first start', 7, migrations, "database.exec('COMMIT')"),
  after(
    'seeding: in the midst',
    'first start',
    700,
    start,
    'const { output } = await running.dispatch(operation.name, { input, caller })',
  ),
  after('seeding: done, before it is noted', 'first start', 1, start, 'await seed(system, running)'),
  within('seeding: clearing what a cut-off one left', 'first start', 12, start, 'rmSync(join(data, name))'),

  before('stopping: between two closings', 'stop', 6, 'packages/cli/src/closing.ts', 'await close()'),
  before(
    'stopping: before leases are given up',
    'stop',
    6,
    `${runtime}/subscription/subscription.ts`,
    'await this.#leases.leave(this.#held())',
  ),
]

function before(name: string, phase: Phase, nthMax: number, file: string, find: string): Point {
  return { name, phase, nthMax, patch: { file, find, replace: `${reach(name)} ${find}` } }
}

function after(name: string, phase: Phase, nthMax: number, file: string, find: string): Point {
  return { name, phase, nthMax, patch: { file, find, replace: `${find}; ${reach(name)}` } }
}

/** Before a statement that is the body of a loop or of a condition. */
function within(name: string, phase: Phase, nthMax: number, file: string, find: string): Point {
  return { name, phase, nthMax, patch: { file, find, replace: `{ ${reach(name)} ${find} }` } }
}

import assert from 'node:assert/strict'
import { AtollError, type Logger } from '@atoll/host'
import { createEmbeddedLog } from '@atoll/log/embedded'
import type { Log } from '@atoll/log/driver'
import type { Reader, Statement, Store, StoreDriver, Transaction, WriteOptions } from '@atoll/store/driver'
import { createSqliteStores } from '@atoll/store/sqlite'
import type { z } from 'zod'
import type { BoundOperation } from '../src/contract/operation.ts'
import { startSystem, type Dispatch, type Ports, type RunningSystem, type RuntimeOptions } from '../src/runtime.ts'
import type { System } from '../src/system.ts'
import { createVirtualHost, type VirtualHost } from './virtual-host.ts'

/**
 * Stores and a log in memory that outlive the systems that run on them, so that a test can stop one and start the next.
 */
export interface World {
  readonly host: VirtualHost
  readonly log: Log
  readonly stores: StoreDriver
  /** What was logged, oldest first. */
  readonly logged: { level: 'info' | 'warn' | 'error'; message: string; fields: Readonly<Record<string, unknown>> }[]
  start(
    system: System,
    options?: Partial<RuntimeOptions>,
    ports?: Partial<Pick<Ports, 'log' | 'stores' | 'logger' | 'calls' | 'attribution'>>,
  ): Promise<RunningSystem>
  close(): Promise<void>
}

async function createWorld(): Promise<World> {
  const host = createVirtualHost()
  const log = await createEmbeddedLog({ file: ':memory:', host })
  const stores = keepOpen(createSqliteStores({ folder: ':memory:', host }))
  const logged: World['logged'] = []
  const at =
    (level: 'info' | 'warn' | 'error'): Logger['info'] =>
    (fields, message) =>
      void logged.push({ level, message, fields })
  const logger: Logger = { info: at('info'), warn: at('warn'), error: at('error') }
  const started: RunningSystem[] = []
  const opened: OwnStores[] = []
  return {
    host,
    log,
    stores,
    logged,
    async start(system, options = {}, ports = {}) {
      const own = ownStores(ports.stores ?? stores)
      opened.push(own)
      const running = await startSystem(system, { host, log, logger, ...ports, stores: own }, options)
      started.push(running)
      return running
    },
    async close() {
      for (const running of started) await running.stop({ drainMs: 0 })
      await stores.close()
      await log.close()
      assert.deepEqual(
        opened.flatMap(({ held }) => [...held]),
        [],
        'stores were left open',
      )
    },
  }
}

/** Calls an operation as the gateway would; resolves with its output. */
export async function call<Op extends BoundOperation>(
  running: RunningSystem,
  operation: Op,
  input: z.input<Op['input']>,
  request: Omit<Dispatch, 'input'> = {},
): Promise<z.output<Op['output']>> {
  return (await running.dispatch(operation.name, { ...request, input })).output as z.output<Op['output']>
}

/**
 * A driver whose stores stay open when they are closed, and are the same when they are opened again; instances can
 * share them.
 */
function keepOpen(driver: StoreDriver): StoreDriver {
  const open = new Map<string, Promise<Store>>()
  return {
    capabilities: driver.capabilities,
    async open(name, migrations) {
      let store = open.get(name)
      if (!store) open.set(name, (store = driver.open(name, migrations)))
      const kept = await store
      return { ...kept, close: async () => {} }
    },
    examine: () => driver.examine(),
    openReader: (names) => driver.openReader(names),
    exists: (name) => driver.exists(name),
    async remove(name) {
      await (await open.get(name))?.close()
      open.delete(name)
      await driver.remove(name)
    },
    close: () => driver.close(),
  }
}

/** The stores of one process: as with every driver, one that is open is neither opened again nor removed. */
interface OwnStores extends StoreDriver {
  /** By name. */
  readonly held: ReadonlySet<string>
}

function ownStores(driver: StoreDriver): OwnStores {
  const held = new Set<string>()
  const assertFree = (name: string): void => {
    if (held.has(name)) throw new AtollError('DATA_IN_USE', `store ${name} is open already`)
  }
  return {
    ...driver,
    held,
    async open(name, migrations) {
      assertFree(name)
      held.add(name)
      try {
        const store = await driver.open(name, migrations)
        return { ...store, close: () => (held.delete(name), store.close()) }
      } catch (error) {
        held.delete(name)
        throw error
      }
    },
    async remove(name) {
      assertFree(name)
      await driver.remove(name)
    },
  }
}

/** A driver whose stores write through `write`: to fail, or to wait. */
export function changedWrites(
  driver: StoreDriver,
  write: (store: Store, ...args: Parameters<Store['write']>) => Promise<unknown>,
): StoreDriver {
  return {
    ...driver,
    async open(name, migrations) {
      const store = await driver.open(name, migrations)
      return {
        ...store,
        write: <T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions) =>
          write(store, work, options) as Promise<T>, // what it answers is what `work` answers
      }
    },
  }
}

/** A transaction with other methods; the rest keep their `this`, and private fields are found. */
export function changedTransaction(tx: Transaction, methods: Partial<Transaction>): Transaction {
  return new Proxy(tx, {
    get(target, member) {
      const value: unknown = Reflect.get(member in methods ? methods : target, member)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/**
 * A driver whose process ends, as far as its stores can tell, right behind the first commit after which `ends` is true:
 * writes come one after the other, and none that comes behind that one is carried out.
 */
export function endingBehind(driver: StoreDriver, ends: (store: Store) => Promise<boolean>): StoreDriver {
  let last: Promise<unknown> = Promise.resolve()
  let isOver = false
  return changedWrites(driver, (store, work) => {
    const write = last.then(async () => {
      if (isOver) throw new AtollError('UNAVAILABLE', 'the process has ended')
      const result = await store.write(work)
      isOver = await ends(store)
      return result
    })
    last = write.catch(() => undefined)
    return write
  })
}

/** A driver whose readers answer when `before` lets them: to fail, or to wait. */
export function changedReads(driver: StoreDriver, before: (statement: Statement) => Promise<void>): StoreDriver {
  return withReader(driver, (reader) => ({
    get: async (statement, params) => (await before(statement), reader.get(statement, params)),
    all: async (statement, params) => (await before(statement), reader.all(statement, params)),
  }))
}

/** A driver whose readers show what they answer. */
export function changedAnswers(driver: StoreDriver, show: (rows: readonly object[]) => void): StoreDriver {
  function shown<T>(rows: T): T {
    show([rows].flat().filter((row) => typeof row === 'object' && row !== null))
    return rows
  }
  return withReader(driver, (reader) => ({
    get: async (statement, params) => shown(await reader.get(statement, params)),
    all: async (statement, params) => shown(await reader.all(statement, params)),
  }))
}

function withReader(driver: StoreDriver, change: (reader: Reader) => Pick<Reader, 'get' | 'all'>): StoreDriver {
  return {
    ...driver,
    async open(name, migrations) {
      const store = await driver.open(name, migrations)
      const { reader } = store
      const changed: Reader = {
        dialect: reader.dialect,
        run: (statement, params) => reader.run(statement, params),
        insert: (statement, params) => reader.insert(statement, params),
        runEach: (statement, rows) => reader.runEach(statement, rows),
        close: () => reader.close(),
        ...change(reader),
      }
      return { ...store, reader: changed }
    },
  }
}

/** Runs `work` in a world of its own, and closes it. */
export async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  const world = await createWorld()
  try {
    await work(world)
  } catch (error) {
    await world.close().catch(() => undefined) // the first error is the one to tell
    throw error
  }
  await world.close()
}

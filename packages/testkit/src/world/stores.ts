import { AtollError } from '@atoll/host'
import { sqliteDialect, type MemoryFolder } from '@atoll/store/sqlite'
import type { Migrations, Reader, Store, StoreDriver, Transaction, WriteOptions } from '@atoll/store/driver'
import type { Actor } from './actor.ts'
import { handlingNow, type HandlingNow } from './sightings.ts'
import { gone, lasting, suffer, type Passenger } from './passage.ts'

/**
 * The stores of a world, which its instances share as processes share a database: what one of them has open stays when
 * it dies, and is opened anew, migrations and all, by the first that comes after. Transactions of two instances never
 * share a commit.
 */
export class SharedStores {
  readonly #driver: StoreDriver
  readonly #folder: MemoryFolder
  readonly #open = new Map<string, SharedStore>()

  /** `folder` is where the driver keeps its stores. */
  constructor(driver: StoreDriver, folder: MemoryFolder) {
    this.#driver = driver
    this.#folder = folder
  }

  async open(name: string, migrations: Migrations): Promise<SharedStore> {
    const known = this.#open.get(name)
    if (known && known.users > 0) {
      known.users++
      return known
    }
    const shared = new SharedStore(this.#openAfter(known, name, migrations), migrations)
    this.#open.set(name, shared)
    await shared.store.catch((error: unknown) => {
      if (this.#open.get(name) === shared) this.#open.delete(name)
      throw error
    })
    return shared
  }

  openReader(names: readonly string[]): Reader {
    return this.#driver.openReader(names)
  }

  /** Committed state of a store, whoever has it open now: it is looked for at every read. */
  reader(name: string): Reader {
    const current = async (): Promise<Reader> => (await this.#require(name).store).reader
    return {
      dialect: sqliteDialect,
      run: async (...args) => (await current()).run(...args),
      insert: async (...args) => (await current()).insert(...args),
      runEach: async (...args) => (await current()).runEach(...args),
      get: async <R>(...args: Parameters<Reader['get']>) => (await current()).get<R>(...args),
      all: async <R>(...args: Parameters<Reader['all']>) => (await current()).all<R>(...args),
      close: async () => {},
    }
  }

  #require(name: string): SharedStore {
    const shared = this.#open.get(name)
    if (shared) return shared
    throw new AtollError(
      'STORE_CLOSED',
      `store ${name} has never been opened in this world; there are ${[...this.#open.keys()].join(', ')}`,
    )
  }

  exists(name: string): Promise<boolean> {
    return this.#driver.exists(name)
  }

  /** Does nothing while somebody has it open. */
  async remove(name: string): Promise<void> {
    const known = this.#open.get(name)
    if (known && known.users > 0) return
    await (await known?.store)?.close()
    this.#open.delete(name)
    await this.#driver.remove(name)
  }

  /** The last who had it open has died: what is not committed is undone, as it is by the next who opens a file. */
  abandon(name: string): void {
    const known = this.#open.get(name)
    if (!known) return
    this.#folder.crash(name)
    this.#reopen(name, known.migrations, known)
  }

  /** What is in the stores of a part of the system now; undefined if one of them is in the midst of a commit. */
  keep(part: string): KeptStores | undefined {
    const kept = new Map<string, KeptStore>()
    for (const name of this.#folder.databases.keys()) {
      if (!isStoreOf(part, name)) continue
      const copy = this.#folder.copy(name)
      if (!copy) return undefined
      kept.set(name, { copy, migrations: this.#open.get(name)?.migrations ?? {} })
    }
    return kept
  }

  /**
   * Puts in the place of a part's stores, which nobody has open, those that were kept of it; others that it has are
   * gone.
   */
  async putBack(part: string, kept: KeptStores): Promise<void> {
    const names = new Set([...this.#folder.databases.keys(), ...kept.keys()])
    for (const name of names) {
      if (!isStoreOf(part, name)) continue
      const known = await this.#open.get(name)?.store.catch(noop)
      await known?.close()
      this.#open.delete(name)
      const { copy, migrations = {} } = kept.get(name) ?? {}
      this.#folder.replace(name, copy)
      if (copy) this.#reopen(name, migrations)
    }
  }

  /** Opened at once, for whoever looks at it before its service is back. */
  #reopen(name: string, migrations: Migrations, known?: SharedStore): void {
    const left = new SharedStore(this.#openAfter(known, name, migrations), migrations)
    left.users = 0
    this.#open.set(name, left)
  }

  async #openAfter(known: SharedStore | undefined, name: string, migrations: Migrations): Promise<Store> {
    await (await known?.store)?.close()
    return this.#driver.open(name, migrations)
  }

  examine(): ReturnType<StoreDriver['examine']> {
    return this.#driver.examine()
  }

  get capabilities(): StoreDriver['capabilities'] {
    return this.#driver.capabilities
  }
}

/**
 * A service has a store of its own name, and one for each of its projections, by theirs and its generation: `mail`,
 * `mail.counts.1`.
 */
function isStoreOf(part: string, name: string): boolean {
  return name === part || name.startsWith(`${part}.`)
}

/** Stores by their names, as they were in one moment. */
export type KeptStores = ReadonlyMap<string, KeptStore>

export interface KeptStore {
  readonly copy: Uint8Array
  /** Those that had been applied to it. */
  readonly migrations: Migrations
}

/** One store, and who uses it. */
class SharedStore {
  readonly store: Promise<Store>
  readonly migrations: Migrations
  users = 1
  /** Whose transactions are under way, and how many. */
  #owner: object | undefined
  #underWay = 0
  readonly #waiting: { who: object; begin: () => void }[] = []

  constructor(store: Promise<Store>, migrations: Migrations) {
    this.store = store
    this.migrations = migrations
    store.catch(noop) // whoever opens it hears of it
  }

  async write<T>(who: object, work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T> {
    const store = await this.store
    while (this.#owner !== undefined && this.#owner !== who)
      await new Promise<void>((begin) => this.#waiting.push({ who, begin }))
    this.#owner = who
    this.#underWay++
    try {
      return await store.write(work, options)
    } finally {
      if (--this.#underWay === 0) {
        this.#owner = undefined
        for (const { begin } of this.#waiting.splice(0)) begin()
      }
    }
  }
}

/** The stores as one instance sees them: through its own failures. */
export function storesOf(
  passenger: Passenger,
  shared: SharedStores,
  onHandled: (handling: HandlingNow) => void = noop,
): StoreDriver {
  const { actor } = passenger
  const load = <T>(read: () => Promise<T>): Promise<T> => {
    const mishap = passenger.passes('load')
    return actor.receive(mishap ? suffer(passenger, mishap, read) : read())
  }
  const reads = (reader: Reader): Reader => ({
    dialect: reader.dialect,
    run: (...args) => load(() => reader.run(...args)),
    insert: (...args) => load(() => reader.insert(...args)),
    runEach: (...args) => load(() => reader.runEach(...args)),
    get: <R>(...args: Parameters<Reader['get']>) => load(() => reader.get<R>(...args)),
    all: <R>(...args: Parameters<Reader['all']>) => load(() => reader.all<R>(...args)),
    close: () => actor.receive(reader.close()),
  })
  return {
    capabilities: shared.capabilities,
    examine: () => shared.examine(),
    async open(name, migrations) {
      let opened: SharedStore | undefined
      const close = (): void => {
        if (opened) opened.users--
        opened = undefined
      }
      const die = (): void => {
        const left = opened
        close()
        if (left?.users === 0) shared.abandon(name)
      }
      const opening = shared.open(name, migrations).then((store) => {
        opened = store
        if (actor.isDead) die()
        else actor.onDeath.add(die)
        return store
      })
      const store = await actor.receive(opening) // it may die, and never come to know that it has it open
      const inner = await store.store
      const line = new Line(actor)
      return {
        name,
        reader: reads(inner.reader),
        write: (work, options) => actor.receive(writeAs(passenger, store, line, work, options, onHandled)),
        tell: noop, // hints may be lost, and here they always are
        watch: () => noop,
        close: async () => close(),
      }
    },
    openReader: (names) => reads(shared.openReader(names)),
    exists: (name) => actor.receive(shared.exists(name)),
    remove: (name) => actor.receive(shared.remove(name)),
    close: async () => {},
  }
}

function writeAs<T>(
  passenger: Passenger,
  store: SharedStore,
  line: Line,
  work: (tx: Transaction) => Promise<T>,
  options: WriteOptions | undefined,
  onHandled: (handling: HandlingNow) => void,
): Promise<T> {
  const { actor } = passenger
  const mishap = passenger.passes('commit')
  const handling = handlingNow.getStore()
  const isHandlers = handling?.service === passenger.service
  const write = async (during: () => void): Promise<T> => {
    const result = await store.write(
      actor,
      async (tx) => {
        if (actor.isDead) throw gone
        const result = await work(tx)
        if (actor.isDead) throw gone
        during()
        if (isHandlers) handling.during()
        return result
      },
      options,
    )
    // Noted here, and not when its handler hears of it: that may be much later, or never.
    if (isHandlers) onHandled(handling)
    return result
  }
  if (!mishap) return line.carry(write(noop))
  const { answerDelayMs, ...rest } = mishap
  return line.carry(suffer(passenger, rest, write), answerDelayMs)
}

/**
 * What an instance hears of its transactions on one store: of none before those that it asked for earlier, as over one
 * connection.
 */
class Line {
  readonly #actor: Actor
  /** Resolves when the last answer has come that is late, or comes behind one that is. */
  #last: Promise<void> | undefined

  constructor(actor: Actor) {
    this.#actor = actor
  }

  carry<T>(answer: Promise<T>, delayMs?: number): Promise<T> {
    if (delayMs === undefined && !this.#last) return answer
    const arrival = this.#arrive(answer, delayMs ?? 0, this.#last)
    this.#last = arrival
    return arrival.then(() => {
      if (this.#last === arrival) this.#last = undefined
      return answer
    })
  }

  async #arrive(answer: Promise<unknown>, delayMs: number, before: Promise<void> | undefined): Promise<void> {
    await answer.catch(noop) // whoever asked hears of it
    if (delayMs > 0) await lasting(this.#actor, delayMs)
    await before
  }
}

function noop(): void {}

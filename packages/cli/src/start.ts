import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createGateway } from '@atoll/gateway'
import { AtollError, silentLogger, type Host, type Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { copyDataFolder, isWritableFolder, openDataFolder, writePrivately } from '@atoll/sqlite'
import { createSqliteStores } from '@atoll/store/sqlite'
import type { System } from 'atoll'
import {
  openSystem,
  startSystem,
  type Admin,
  type Attribution,
  type Ports,
  type RunningSystem,
  type RuntimeOptions,
} from 'atoll/runtime'
import { clearable } from './clearing.ts'
import { closeAll } from './closing.ts'
import { readGateway, type GatewaySettings } from './gateway.ts'
import { assertNotAnothers, noteSystem } from './note.ts'
import { syncFolder } from './syncing.ts'

export interface StartOptions {
  /** Where the data lies; made if it is not there. */
  data: string
  /** Path of the system's module, absolute: noted in the folder, so that other commands can load it. */
  module?: string
  /** Port of the gateway; 0 takes a free one. Without it there is no gateway. */
  port?: number
  gateway?: GatewaySettings | undefined
  logger?: Logger
  /** Knows on whose behalf code runs; see `Ports.attribution`. */
  attribution?: Attribution
  /** Only what differs from the defaults of the runtime. */
  runtime?: Partial<RuntimeOptions>
  /** Delete the data folder's files first; never those of another system. */
  fresh?: boolean
}

/** A system at work on this machine. */
export interface Started {
  readonly running: RunningSystem
  /** Where the gateway listens, if there is one. */
  readonly url: string | undefined
  /** Whether this start found an empty data folder and filled it with the system's demo data. */
  readonly seeded: boolean
  /** Drains, and closes everything. Idempotent. */
  stop(): Promise<void>
}

/**
 * Starts a whole system in this process: SQLite stores and an embedded log in one data folder, and the gateway. On an
 * empty folder the system's seed runs once; a seed that was cut off begins anew on the next start. DATA_IN_USE,
 * PORT_TAKEN, STORE_CORRUPT, … if it cannot; CONFIG_INVALID for a gateway that could not do its work; COMMAND_USAGE
 * where another system has run, DATA_UNUSABLE where nobody can tell which.
 */
export async function start(system: System, options: StartOptions): Promise<Started> {
  const { logger = silentLogger } = options
  // before anything is made
  const gatewayOf = options.port === undefined ? undefined : readGateway(system, options.gateway)
  const data = resolve(options.data) // a folder, whatever it is called: SQLite has names that are none
  const folder = await openData(data, system, options.fresh ?? false)
  const takeBack = logToTakeBack(data, system)
  try {
    // whose log is gone, and whose stores are not, has all the more to lose
    const isNew = !hasLog(data) && !hasStores(data, system)
    if (isNew && system.seed) markUnfinished(data)
    noteSystem(data, { module: options.module, system: system.name })
    const { host, closing } = folder
    const ports = { ...(await openPorts(folder)), logger, attribution: options.attribution }
    // one person's data: nobody else counts on what is answered
    const running = await startSystem(system, ports, { commandsWhenOutdated: 'take', ...options.runtime })
    closing.unshift(() => running.stop())
    const seeded = isNew && system.seed !== undefined
    if (seeded) {
      await seed(system, running)
      markFinished(data)
    }
    await catchUp(running, host)
    const gateway =
      gatewayOf && createGateway(running, { ...gatewayOf(running), host, logger, attribution: options.attribution })
    if (gateway) closing.unshift(() => gateway.close())
    // there is a gateway because there is a port
    const url = gateway && (await gateway.listen({ port: options.port! })).url
    let stopping: Promise<void> | undefined
    return { running, url, seeded, stop: () => (stopping ??= closeAll(closing)) }
  } catch (error) {
    folder.closing.splice(-1, 0, takeBack) // while nobody else can have the folder yet
    await closeAll(folder.closing).catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/**
 * Opens the data of a system that does not run, to look at it. Nothing is handled, handed on, fired or seeded: looking
 * after a bad release must not run it. Of a folder that may not be written, a copy is looked at. COMMAND_USAGE if there
 * is nothing to look at.
 */
export async function look(
  system: System,
  data: string,
  logger: Logger,
): Promise<{ admin: Admin; close(): Promise<void> }> {
  await assertThere(system, data)
  const folder = isWritableFolder(data) ? openFolder(data) : openCopy(data)
  try {
    const open = await openSystem(system, { ...(await openPorts(folder)), logger })
    folder.closing.unshift(() => open.close())
    return { admin: open.admin, close: () => closeAll(folder.closing) }
  } catch (error) {
    await closeAll(folder.closing).catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/** Opening a store makes it: looking must not. */
async function assertThere(system: System, data: string): Promise<void> {
  if (!hasLog(data)) throw new AtollError('COMMAND_USAGE', `${data} holds no system's data; start one there first`)
  const stores = createSqliteStores({ folder: data, host: createNodeHost() })
  for (const { name } of system.services) {
    if (!(await stores.exists(name)))
      throw new AtollError(
        'COMMAND_USAGE',
        `there is no store of ${name} in ${resolve(data)}, so nothing can be said of what it holds; start the system there once, or name its own folder with --data`,
      )
  }
}

function hasStores(data: string, { services }: Pick<System, 'services'>): boolean {
  return services.some(({ name }) => existsSync(join(data, `${name}.db`)))
}

/**
 * What a start must do that is refused: where it found stores and no log, it takes away the one that it has made.
 * Beside them an empty log says that the events in it were lost, and not that the file is gone, for which there may be
 * a copy.
 */
export function logToTakeBack(data: string, system: Pick<System, 'services'>): () => void {
  if (hasLog(data) || !hasStores(data, system)) return () => undefined
  return () => {
    for (const part of ['', '-wal', '-shm']) rmSync(join(data, `${LOG}${part}`), { force: true })
  }
}

/** Whether a system whose log is embedded has run in a folder. */
export function hasLog(data: string): boolean {
  return existsSync(join(data, LOG))
}

/** A data folder that this process has for itself, and what must be closed in the end, in this order. */
interface Folder {
  readonly data: string
  readonly host: Host
  readonly closing: (() => unknown)[]
}

function openFolder(data: string): Folder {
  const folder = openDataFolder(data)
  // The runtime's timers do not keep a process alive; a system at work should.
  const keepAlive = setInterval(() => {}, 2 ** 30)
  return { data, host: createNodeHost(), closing: [() => clearInterval(keepAlive), () => folder.close()] }
}

/** A copy of a folder, which goes when it is closed. */
function openCopy(data: string): Folder {
  const copy = mkdtempSync(join(tmpdir(), 'atoll-copy-')) // its owner's alone
  const remove = (): void => rmSync(copy, { recursive: true, force: true })
  try {
    copyDataFolder(data, copy)
    const folder = openFolder(copy)
    return { ...folder, closing: [...folder.closing, remove] }
  } catch (error) {
    remove()
    throw error
  }
}

/** The same as {@link openFolder}; emptied if that is wanted, or if a first start or an emptying was cut off in it. */
async function openData(data: string, system: System, fresh: boolean): Promise<Folder> {
  const folder = openFolder(data)
  try {
    assertNotAnothers(data, system.name)
    if (fresh || seedWasCutOff(data)) empty(data, system)
    return folder
  } catch (error) {
    await closeAll(folder.closing).catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

async function openPorts({ data, host, closing }: Folder): Promise<Omit<Ports, 'logger'>> {
  const log = await createEmbeddedLog({ file: join(data, LOG), host })
  closing.unshift(() => log.close())
  const stores = createSqliteStores({ folder: data, host })
  closing.unshift(() => stores.close())
  return { host, log, stores }
}

async function seed(system: System, running: RunningSystem): Promise<void> {
  await system.seed!({
    async call(operation, input, { as } = {}) {
      const caller = as === undefined ? undefined : { id: as, claims: {} }
      const { output } = await running.dispatch(operation.name, { input, caller })
      return output as never // checked against the schema of this very operation
    },
    settled: () => running.quiet(),
  })
  await running.quiet()
}

/**
 * Lets services take up what came before the start, for a moment: the gateway that is about to open does not know any
 * more what its callers had seen.
 */
async function catchUp(running: RunningSystem, host: Host): Promise<void> {
  const enough = new AbortController()
  const timer = host.after(CATCH_UP_MS, () => enough.abort())
  const over = new Promise((resolve) => enough.signal.addEventListener('abort', resolve, { once: true }))
  // what stands in the way of quiet is told by readiness
  await Promise.race([running.quiet(enough.signal).catch(() => undefined), over])
  timer.cancel()
}

/**
 * Whether a first start was cut off before its seed had ended, or a deletion before its end. What it left is part of a
 * whole that nobody asked for.
 */
export function seedWasCutOff(data: string): boolean {
  return existsSync(join(data, SEEDING))
}

/** Deletes what Atoll keeps in a data folder, and nothing else. Refuses a folder in which it finds other things. */
function empty(data: string, system: System): void {
  const names = clearable(data, system)
  // A process that is killed in the midst of this leaves some files of a whole: the next start must not take them for
  // one.
  markUnfinished(data)
  for (const name of names) rmSync(join(data, name))
  syncFolder(data)
  markFinished(data)
}

function markUnfinished(data: string): void {
  writePrivately(join(data, SEEDING), '')
  syncFolder(data)
}

/** A mark that came back when the power goes would have all that was acknowledged since deleted. */
function markFinished(data: string): void {
  rmSync(join(data, SEEDING))
  syncFolder(data)
}

const CATCH_UP_MS = 1_000
const LOG = 'log.db'
const SEEDING = 'seeding'

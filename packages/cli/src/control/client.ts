import { readFileSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { AtollError, errorCodes, type ErrorCode } from '@atoll/host'
import { assertIdle, findDataFolder } from '@atoll/sqlite'
import type { Config } from '../config/config.ts'
import { defaultStoreUrl, folderOf, placeOf } from '../engines.ts'
import { loadSystem, loadSystemOf } from '../load.ts'
import { createLogger } from '../logging/logger.ts'
import { notedSystem } from '../note.ts'
import { hasLog, look, seedWasCutOff, start } from '../start.ts'
import { linesOf } from './lines.ts'
import { answer, handlesEvents, type ControlReply, type ControlRequest } from './protocol.ts'
import { CONTROL_FILE, type Control } from './server.ts'
import { askShared } from './shared.ts'

/** What to ask: a data folder, or what a configuration names. */
export type Place = { readonly data: string } | { readonly config: Config }

/**
 * Asks whatever place it is. `signal` ends a question that goes on. DATA_IN_USE, with what to do, if the process that
 * has the data does not answer.
 */
export async function* ask<Item>(place: Place, request: ControlRequest, signal: AbortSignal): AsyncGenerator<Item> {
  try {
    yield* askPlace<Item>(place, request, signal)
  } catch (thrown) {
    const error = AtollError.from(thrown)
    const { pid } = error.details
    if (error.code !== 'DATA_IN_USE' || pid === undefined) throw thrown
    // Whoever runs a system answers; for a moment at its beginning and its end it has the folder, and does not.
    throw new AtollError(
      'DATA_IN_USE',
      `process ${pid} has the data and does not answer yet: it is starting, or stopping, or looks at the data itself. Try again; if it stays so, stop that process`,
      { cause: error },
    )
  }
}

async function* askPlace<Item>(place: Place, request: ControlRequest, signal: AbortSignal): AsyncGenerator<Item> {
  if ('data' in place) {
    yield* askFolder<Item>(place.data, request, signal)
    return
  }
  const { system } = await loadSystemOf(undefined, place.config)
  const socket = await reachOwner(system.name, place.config, request)
  yield* (
    socket
      ? askRunning(socket, request, signal)
      : askShared(system, place.config, request, signal, createLogger('error'))
  ) as AsyncGenerator<Item> // each verb has its item
}

/**
 * Asks the system of a data folder: the running one, or, if none runs, what lies in the folder.
 * `signal` ends a question that goes on.
 */
async function* askFolder<Item>(data: string, request: ControlRequest, signal: AbortSignal): AsyncGenerator<Item> {
  if (findDataFolder(data) === undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      `there is no data folder ${resolve(data)}; start a system first, or name its folder with --data, or the configuration of one on engines with --config`,
    )
  const control = controlOf(data)
  const socket = control && (await reach(control, data))
  // each verb has its item
  yield* (socket ? askRunning(socket, request, signal) : askStopped(data, request, signal)) as AsyncGenerator<Item>
}

/**
 * The process of this machine that has to be asked, if there is one: the one that has the folder with the stores; or,
 * for what instances do, the `atoll up` that has started them, and knows where they are.
 */
async function reachOwner(system: string, { values }: Config, request: ControlRequest): Promise<Socket | undefined> {
  if (request.verb === 'events') return undefined // the log has them all
  const { store, log } = placeOf(values, system)
  const own = folderOf(store)
  const folder = own ?? (handlesEvents(request) ? folderOf(defaultStoreUrl(system)) : undefined)
  const control = folder === undefined ? undefined : controlOf(folder)
  const socket = control && (await reach(control, folder!)) // where the note lies
  if (!socket || (control.store === store && control.log === log)) return socket
  socket.destroy()
  if (own === undefined) return undefined
  throw new AtollError(
    'CONFIG_INVALID',
    `process ${control.pid} has ${own}, and its log is ${control.log}, not ${log}. Give the configuration that it runs with (--config), or ask it, whatever it is (--data ${own})`,
  )
}

/** What the process that has a folder says of itself; also one that was killed. */
function controlOf(data: string): Control | undefined {
  try {
    const control: unknown = JSON.parse(readFileSync(join(data, CONTROL_FILE), 'utf8'))
    return isControl(control) ? control : undefined
  } catch {
    return undefined // none runs, or one was killed as it wrote
  }
}

/** Node.js would take a path that is not valid for a port, on which anybody may listen. */
function isControl(value: unknown): value is Control {
  if (typeof value !== 'object' || value === null) return false
  const { path, pid, store, log } = value as Partial<Record<keyof Control, unknown>> // each is looked at
  return (
    typeof path === 'string' &&
    isAbsolute(path) &&
    typeof pid === 'number' &&
    typeof store === 'string' &&
    typeof log === 'string'
  )
}

async function reach({ path, pid }: Control, data: string): Promise<Socket | undefined> {
  const trusted = [process.getuid?.(), ownerOf(data)] // who has the folder may write there what they like anyway
  // Anybody else would be sent what is asked, and could answer anything; the same goes for one who could exchange the
  // socket.
  const stranger = [path, dirname(path)].map(ownerOf).find((owner) => owner !== undefined && !trusted.includes(owner))
  if (stranger !== undefined) {
    throw new AtollError(
      'DATA_UNUSABLE',
      `${path}, where process ${pid} is to be asked about ${resolve(data)}, belongs to account ${stranger}, and neither to this one nor to the one that has the folder: nothing was asked there. If the system runs under that account, run this command under it; else stop the system, if it runs, and delete ${join(resolve(data), CONTROL_FILE)}`,
    )
  }
  try {
    const socket = connect(path)
    await once(socket, 'connect')
    return socket
  } catch {
    return undefined // a process that was killed left the file behind
  }
}

/** The account that something belongs to; undefined if it is not there. */
function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid
  } catch {
    return undefined // or cannot be seen, and then not be reached either
  }
}

async function* askRunning(socket: Socket, request: ControlRequest, signal: AbortSignal): AsyncGenerator<unknown> {
  const end = (): void => void socket.destroy()
  signal.addEventListener('abort', end, { once: true })
  try {
    socket.write(`${JSON.stringify(request)}\n`)
    for await (const line of linesOf(socket)) {
      const reply = JSON.parse(line) as ControlReply // the other end is this same program
      if ('end' in reply) return
      if ('error' in reply) throw new AtollError(toCode(reply.error.code), reply.error.message)
      yield reply.item
    }
    if (!signal.aborted) throw new AtollError('UNAVAILABLE', 'the system stopped before it had answered')
  } finally {
    signal.removeEventListener('abort', end)
    socket.destroy()
  }
}

/** Looks at the data if that is enough; only what handles events starts the system, without a gateway. */
async function* askStopped(data: string, request: ControlRequest, signal: AbortSignal): AsyncGenerator<unknown> {
  assertIdle(data) // a system that starts for the first time has not said yet what it is
  const noted = notedSystem(data)
  if (noted === undefined && !hasLog(data))
    throw new AtollError(
      'COMMAND_USAGE',
      `no system has run in ${resolve(data)}; name the data folder of one with --data, or the configuration of one on engines with --config`,
    )
  if (noted?.module === undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      `${data} does not say ${noted ? `where the module of system ${noted.system} is` : 'which system it belongs to'}; start it once with \`atoll dev\``,
    )
  if (!hasLog(data))
    throw new AtollError(
      'COMMAND_USAGE',
      `no process runs that has ${resolve(data)}, and the log of its system is not in it, but on an engine: start it again, or give the configuration that it runs with (--config)`,
    )
  const { system } = await loadSystem(noted.module)
  const logger = createLogger('error')
  if (!handlesEvents(request)) {
    const open = await look(system, data, logger)
    try {
      yield* answer(open.admin, request, signal)
    } finally {
      await open.close()
    }
    return
  }
  if (seedWasCutOff(data))
    throw new AtollError(
      'COMMAND_USAGE',
      `the first start in ${data} was cut off before its demo data were complete; start it with \`atoll dev\` first`,
    )
  const started = await start(system, { data, logger })
  try {
    yield* answer(started.running.admin, request, signal)
  } finally {
    await started.stop()
  }
}

function toCode(code: string): ErrorCode {
  return code in errorCodes ? (code as ErrorCode) : 'INTERNAL'
}

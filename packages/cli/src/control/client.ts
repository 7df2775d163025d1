import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { AtollError, errorCodes, type ErrorCode } from '@atoll/host'
import type { Config } from '../config/config.ts'
import { loadSystem, loadSystemOf } from '../load.ts'
import { createLogger } from '../logger.ts'
import { look, notedSystem, seedWasCutOff, start } from '../start.ts'
import { linesOf } from './lines.ts'
import { answer, handlesEvents, type ControlReply, type ControlRequest } from './protocol.ts'
import { CONTROL_FILE } from './server.ts'
import { askShared } from './shared.ts'

/** What to ask: a data folder, or what a configuration names. */
export type Place = { readonly data: string } | { readonly config: Config }

/** Asks whatever place it is. `signal` ends a question that goes on. */
export async function* ask<Item>(place: Place, request: ControlRequest, signal: AbortSignal): AsyncGenerator<Item> {
  if ('data' in place) return yield* askFolder<Item>(place.data, request, signal)
  const { system } = await loadSystemOf(undefined, place.config)
  yield* askShared(system, place.config, request, signal, createLogger('error')) as AsyncGenerator<Item> // each verb has its item
}

/**
 * Asks the system of a data folder: the running one, or, if none runs, what lies in the folder.
 * `signal` ends a question that goes on.
 */
async function* askFolder<Item>(data: string, request: ControlRequest, signal: AbortSignal): AsyncGenerator<Item> {
  if (!existsSync(data)) throw new AtollError('COMMAND_USAGE', `there is no data folder ${data}; start a system first, or name its folder with --data`)
  const socket = await reach(data)
  yield* (socket ? askRunning(socket, request, signal) : askStopped(data, request, signal)) as AsyncGenerator<Item> // each verb has its item
}

async function reach(data: string): Promise<Socket | undefined> {
  const file = join(data, CONTROL_FILE)
  if (!existsSync(file)) return undefined
  try {
    const { path } = JSON.parse(readFileSync(file, 'utf8')) as { path: string } // written by listenForCommands
    const socket = connect(path)
    await once(socket, 'connect')
    return socket
  } catch {
    return undefined // a process that was killed left the file behind, or half of it
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
  const noted = notedSystem(data)
  if (!noted) throw new AtollError('COMMAND_USAGE', `${data} does not say which system it belongs to; start it once with \`atoll dev\``)
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
  if (seedWasCutOff(data)) throw new AtollError('COMMAND_USAGE', `the first start in ${data} was cut off before its demo data were complete; start it with \`atoll dev\` first`)
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

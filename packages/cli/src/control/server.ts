import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import { toAtollError, writePrivately } from '@atoll/sqlite'
import { linesOf } from './lines.ts'
import type { ControlReply, ControlRequest } from './protocol.ts'

/** The file in a data folder that says where its running system listens for commands. */
export const CONTROL_FILE = 'control.json'

/** What a running system says of itself in {@link CONTROL_FILE}. */
export interface Control {
  readonly path: string
  readonly pid: number
  /** Where its stores and its log are, without passwords: a command that was told of others must not ask this one. */
  readonly store: string
  readonly log: string
}

/** Answers what is asked, item by item, until the signal aborts. */
export type Answerer = (request: ControlRequest, signal: AbortSignal) => AsyncIterable<unknown>

/**
 * Lets the other commands of this machine's user reach a running system: a socket file for the owner alone, in its data
 * folder, or in a folder of its own. Returns what ends it.
 */
export async function listenForCommands(
  answerer: Answerer,
  data: string,
  { store, log }: Pick<Control, 'store' | 'log'>,
): Promise<() => Promise<void>> {
  const { path, remove } = placeSocket(data)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    void serve(answerer, socket)
  })
  const before = process.umask(0o177)
  server.listen(path) // makes the file at once: nobody else's comes by this mask
  process.umask(before)
  const control: Control = { path, pid: process.pid, store, log }
  const end = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
    rmSync(join(data, CONTROL_FILE), { force: true })
    remove()
  }
  await once(server, 'listening').catch((error: unknown) => {
    remove()
    throw toAtollError(error, path)
  })
  try {
    writePrivately(join(data, CONTROL_FILE), JSON.stringify(control))
  } catch (error) {
    await end().catch(() => undefined) // the first error is the one to tell
    throw error
  }
  return end
}

async function serve(answerer: Answerer, socket: Socket): Promise<void> {
  const gone = new AbortController()
  socket.on('close', () => gone.abort())
  socket.on('error', () => gone.abort())
  const send = (reply: ControlReply): void => void (socket.writable && socket.write(`${JSON.stringify(reply)}\n`))
  try {
    const { value: line } = (await linesOf(socket, REQUEST_CHARS_MAX).next()) as IteratorResult<string, undefined>
    if (line === undefined) return void socket.destroy()
    for await (const item of answerer(JSON.parse(line) as ControlRequest, gone.signal)) {
      if (gone.signal.aborted) return
      send({ item })
      if (socket.writableNeedDrain) await once(socket, 'drain', { signal: gone.signal })
    }
    send({ end: true })
  } catch (thrown) {
    if (gone.signal.aborted) return
    const error = AtollError.from(thrown)
    send({ error: { code: error.code, message: error.reason } })
  }
  socket.end()
}

const REQUEST_CHARS_MAX = 64 * 1024

/** Left behind by a process that was killed: whoever holds the data folder may. */
function removeLeft(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch (error) {
    throw new AtollError(
      'DATA_UNUSABLE',
      `${path}, where other commands are to reach this system, is taken and cannot be removed. Move it away, and start again`,
      { cause: error },
    )
  }
}

/**
 * Where the socket is to be. Paths of sockets are short, so a deep data folder has its socket among the temporary
 * files: in a folder under a name that nobody can guess and that is its owner's alone, since every account of the
 * machine may put things there. `remove` takes away what was made for it.
 */
function placeSocket(data: string): { path: string; remove: () => void } {
  const inside = resolve(data, SOCKET)
  if (Buffer.byteLength(inside) <= PATH_BYTES_MAX) {
    removeLeft(inside)
    return { path: inside, remove() {} }
  }
  const folder = mkdtempSync(join(tmpdir(), 'atoll-control-')) // its owner's alone
  const path = join(folder, SOCKET)
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, remove }
  remove()
  throw new AtollError(
    'DATA_UNUSABLE',
    `other commands cannot reach a system in ${resolve(data)}: that path and the one of the folder for temporary files, ${tmpdir()}, are too long for a socket. Choose a shorter one of either (TMPDIR), and start again`,
  )
}

const SOCKET = 'control.sock'

/** What every operating system takes as the path of a socket, bytes. */
const PATH_BYTES_MAX = 100

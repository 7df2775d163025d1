import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import type { RunningSystem } from 'atoll/runtime'
import { linesOf } from './lines.ts'
import { answer, type ControlReply, type ControlRequest } from './protocol.ts'

/** The file in a data folder that says where its running system listens for commands. */
export const CONTROL_FILE = 'control.json'

/**
 * Lets the other commands of this machine's user reach a running system: a socket file in its data folder, for the owner alone.
 * Returns what ends it.
 */
export async function listenForCommands(running: RunningSystem, data: string): Promise<() => Promise<void>> {
  const path = socketPath(data)
  rmSync(path, { force: true }) // left behind by a process that was killed: whoever holds the data folder may
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    void serve(running, socket)
  })
  const before = process.umask(0o177)
  server.listen(path)
  await once(server, 'listening')
  process.umask(before)
  writeFileSync(join(data, CONTROL_FILE), JSON.stringify({ path, pid: process.pid }))
  return async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
    rmSync(join(data, CONTROL_FILE), { force: true })
  }
}

async function serve(running: RunningSystem, socket: Socket): Promise<void> {
  const gone = new AbortController()
  socket.on('close', () => gone.abort())
  socket.on('error', () => gone.abort())
  const send = (reply: ControlReply): void => void (socket.writable && socket.write(`${JSON.stringify(reply)}\n`))
  try {
    const { value: line } = await linesOf(socket, REQUEST_CHARS_MAX).next()
    if (line === undefined) return void socket.destroy()
    for await (const item of answer(running.admin, JSON.parse(line) as ControlRequest, gone.signal)) {
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

/** Socket paths may be 100 bytes long at the most; a deep data folder has its socket elsewhere. */
function socketPath(data: string): string {
  const inside = resolve(data, 'control.sock')
  return Buffer.byteLength(inside) <= 100 ? inside : join(tmpdir(), `atoll-${process.pid}.sock`)
}

import { connect } from 'node:net'
import type { Probe } from '../engine.ts'

/** Whether an engine answers its probe. No, also when nothing listens or the answer takes too long. */
export function answers(host: string, port: number, probe: Probe): Promise<boolean> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const socket = connect({ host, port, timeout: ANSWER_MS })
    const end = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket
      .on('connect', () => socket.write(probe.send))
      .on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (probe.accepts(Buffer.concat(chunks))) end(true)
        else if (bytes > ANSWER_BYTES_MAX) end(false)
      })
      .on('timeout', () => end(false))
      .on('error', () => end(false))
      .on('close', () => end(false))
  })
}

const ANSWER_MS = 2_000
const ANSWER_BYTES_MAX = 64 * 1024

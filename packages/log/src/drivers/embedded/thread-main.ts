// The thread that writes a log's file. It takes one thing to write at a time, and says how each went.
import { parentPort, workerData } from 'node:worker_threads'
import { AtollError } from '@atoll/host'
import { openDatabase } from '@atoll/sqlite'
import { applicationId, formatVersion } from './format.ts'
import type { ThreadAnswer } from './thread.ts'
import { DirectWriter, type Writing } from './writer.ts'

const port = parentPort! // this module is only ever a thread
const file = workerData as string // as ThreadWriter gives it

function answer(thrown?: unknown): void {
  const error = thrown === undefined ? undefined : AtollError.from(thrown)
  port.postMessage(
    (error ? { error: { code: error.code, reason: error.reason, stack: error.stack } } : {}) satisfies ThreadAnswer,
  )
}

try {
  const writer = new DirectWriter(openDatabase(file, { applicationId, formatVersion }), file)
  port.on('message', (message: Writing | 'close') => {
    if (message === 'close') void writer.close().then(() => port.close())
    else writer.write(message).then(() => answer(), answer)
  })
  answer()
} catch (error) {
  answer(error)
}

// Appends as fast as it can until it is killed, and says of each append that resolved: source, partition, last number.
import { writeSync } from 'node:fs'
import { createNodeHost } from '@atoll/host/node'
import { createRecords } from '../src/conformance/records.ts'
import { createEmbeddedLog } from '../src/embedded.ts'

const [, , file] = process.argv
const log = await createEmbeddedLog({ file: file!, host: createNodeHost() }) // the test gives it

/** Says it before anything else happens. A reader that is slow leaves no room in the pipe for a while. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
}

async function burst(source: string, partition: number): Promise<never> {
  let last = (await log.tail(source, partition))?.number ?? 0
  for (;;) {
    await log.append(source, createRecords(source, partition, last + 1, last + 7))
    last += 7
    say(`${source} ${partition} ${last}\n`)
  }
}

await Promise.all(
  ['orders', 'payments', 'shipping'].flatMap((source) => [0, 1].map((partition) => burst(source, partition))),
)

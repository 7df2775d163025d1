import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '@atoll/cli'
import hello from './system.ts'

// Starts the system on a data folder of its own, greets, asks, and stops.

const data = await mkdtemp(join(tmpdir(), 'hello-'))
const { url, stop } = await start(hello, { data, port: 0 })

for (const name of ['Ada', 'Ada', 'Basil']) {
  const response = await fetch(`${url}/greetings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  })
  console.log(response.status, await response.text())
}
console.log(await (await fetch(`${url}/greetings/Ada`)).text())

await stop()
await rm(data, { recursive: true })
console.log('stopped')

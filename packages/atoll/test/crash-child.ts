import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { createSqliteStores } from '@atoll/store/sqlite'
import { startSystem } from '../src/runtime.ts'
import { createShop } from './shop.ts'

// Notes amounts as fast as it can until it is killed, and says of each that was acknowledged: its number, on a line of
// its own. Arguments: data folder, first number.

const [, , folder, first] = process.argv as [string, string, string, string]
const host = createNodeHost()
const log = await createEmbeddedLog({ file: join(folder, 'log.db'), host })
const running = await startSystem(createShop(), {
  host,
  log,
  stores: createSqliteStores({ folder, host }),
  logger: silentLogger,
})
let next = Number(first)
const worker = async (): Promise<never> => {
  for (;;) {
    const cents = next++
    await running.dispatch('book.note', { input: { account: `a${cents % 10}`, cents } })
    writeSync(1, `${cents}\n`)
  }
}
await Promise.all(Array.from({ length: 16 }, worker))

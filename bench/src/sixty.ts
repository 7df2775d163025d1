import { join } from 'node:path'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { sqlStore } from '@atoll/store'
import { createSqliteStores } from '@atoll/store/sqlite'
import { command, contract, event, service, system } from 'atoll'
import { startSystem } from 'atoll/runtime'
import { z } from 'zod'

// Sixty services, each with a store, an event and a handler for the event of the one before it. Prints a line when
// ready, and waits.

const folder = process.argv[2]!
const Fact = z.object({ id: z.string() })
const events = Array.from({ length: 60 }, (_, index) =>
  event(`service-${index}.done`, { version: 1, key: ({ id }) => id, data: Fact }),
)
const services = events.map((done, index) => {
  const definition = contract(`service-${index}`, {
    events: [done],
    act: command({ http: `POST /service-${index}`, auth: 'none', input: Fact, output: Fact }),
  })
  return service(definition, {
    store: sqlStore<{ facts: { id: string } }>({
      migrations: { '0001-facts': 'CREATE TABLE facts (id TEXT PRIMARY KEY) STRICT' },
    }),
    handlers: {
      act: ({ input, tx }) =>
        tx(({ emit }) => {
          emit(done, input)
          return input
        }),
    },
    subscribe: ({ on }) => [
      on(events[(index + 59) % 60]!, ({ event, tx }) =>
        tx(({ db }) => db.insertInto('facts').values(event.data).execute()),
      ),
    ],
  })
})

const host = createNodeHost()
const log = await createEmbeddedLog({ file: join(folder, 'log.db'), host })
const stores = createSqliteStores({ folder, host })
const running = await startSystem(system('sixty', { services }), { host, log, stores, logger: silentLogger })
console.log('ready')
const keepAlive = setInterval(() => {}, 1_000)
process.once('SIGTERM', () => {
  clearInterval(keepAlive)
  void running
    .stop()
    .then(() => stores.close())
    .then(() => log.close())
})

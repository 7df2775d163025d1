import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startProxy } from '@atoll/engines'
import { startServer, type Server } from '@atoll/engines/postgres'
import { createNodeHost } from '@atoll/host/node'
import { assertWhole, goOn, startRelay } from '../../../test/relay.ts'
import type { Log } from '../../driver.ts'
import { createPostgresLog } from '../../postgres.ts'

const host = createNodeHost()
describe('a log on a PostgreSQL with a synchronous standby', () => {
  it('loses nothing that was acknowledged when the primary is lost with its data, and goes on with the standby in its place', async () => {
    const primary = await startServer()
    const servers: Server[] = [primary]
    const place = { host: primary.host, port: primary.port } // as DNS, or a proxy, names the primary
    const proxy = await startProxy({ target: place })
    const logs: Log[] = []
    const open = async (): Promise<Log> => {
      const url = new URL(primary.url)
      url.port = String(proxy.port)
      const log = await createPostgresLog({ url: url.href, system: 'shop', host })
      logs.push(log)
      return log
    }
    try {
      const standby = await startServer({ primary })
      servers.push(standby)
      await primary.kill()
      await primary.start({ synchronous_standby_names: '*' })
      const log = await open()
      const survives = async (): Promise<boolean | undefined> => (await log.examine()).survives['loss of a node']
      const relays = [0, 1, 2].map((partition) => startRelay(log, 'orders', partition))
      await goOn(relays)
      assert.equal(await survives(), true)
      await primary.dispose()
      place.port = standby.port
      standby.promote()
      await goOn(relays)
      await assertWhole(await open(), 'orders', await Promise.all(relays.map((relay) => relay.stop())))
      assert.equal(await survives(), false, 'it is alone now')
    } finally {
      await Promise.all(logs.map((log) => log.close()))
      await proxy.close()
      for (const server of servers) await server.dispose()
    }
  })
})

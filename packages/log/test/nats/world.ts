import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Log } from '../../src/driver.ts'
import { Connection } from '../../src/drivers/nats/connection.ts'
import { defaultLimits } from '../../src/drivers/nats/limits.ts'
import type { Session } from '../../src/drivers/nats/session.ts'
import { createNatsLog, type NatsLogOptions } from '../../src/nats.ts'

const host = createNodeHost()

/** One system on a server, and what can be done to it behind the back of its logs. */
export interface NatsWorld {
  readonly system: string
  /** Another log of the system; closed at the end if it is not before. */
  open(options?: Partial<NatsLogOptions>): Promise<Log>
  /** Asks the server's JetStream itself. */
  ask(what: string, question?: object): Promise<Record<string, unknown>>
  /** The name of the stream of a source. */
  stream(source: string): string
  session: Session
}

/** Runs `body` in a system of its own, and removes what is left of it. */
export async function withNats(url: string, body: (world: NatsWorld) => Promise<void>): Promise<void> {
  const { world, dispose } = await createNatsWorld(url)
  try {
    await body(world)
  } finally {
    await dispose()
  }
}

export async function createNatsWorld(url: string): Promise<{ world: NatsWorld; dispose(): Promise<void> }> {
  const system = `test-${host.hex(6)}`
  const opened: Log[] = []
  const connection = new Connection(
    { servers: [url], name: 'test' },
    host,
    silentLogger,
    { ...defaultLimits, callMs: 20_000 },
    () => {},
  )
  await connection.start()

  async function ask(what: string, question: object = {}): Promise<Record<string, unknown>> {
    const answer = await connection.session().request(`$JS.API.${what}`, JSON.stringify(question))
    return answer.json()
  }

  const world: NatsWorld = {
    system,
    ask,
    stream: (source) => `atoll_${system}_${source}`,
    get session() {
      return connection.session()
    },
    async open(options = {}) {
      const log = await createNatsLog({ servers: url, system, host, ...options })
      opened.push(log)
      return log
    },
  }

  async function dispose(): Promise<void> {
    for (const log of opened) await log.close()
    try {
      // as the server documents it
      const { streams } = (await ask('STREAM.NAMES', { subject: `atoll.${system}.>` })) as { streams?: string[] }
      for (const name of streams ?? []) await ask(`STREAM.DELETE.${name}`)
    } finally {
      connection.close()
    }
  }
  return { world, dispose }
}

import { randomUUID } from 'node:crypto'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { Admin } from '@platformatic/kafka'
import type { Log } from '../../src/driver.ts'
import { createKafkaLog, type KafkaLogOptions } from '../../src/kafka.ts'
import { KafkaProxy } from './proxy.ts'
import { startRefusing } from './refusing.ts'

/** `host:port` of a `kafka://host:port`. */
export function brokerOf(url: string): string {
  return new URL(url).host
}

/** Runs `body` in a system of its own, and clears away what it leaves. */
export async function inKafkaWorld(url: string, body: (world: KafkaWorld) => Promise<void>): Promise<void> {
  const world = createKafkaWorld(brokerOf(url))
  try {
    await body(world)
  } finally {
    await world.dispose()
  }
}

/** A system of its own on a broker, with the logs that a test opens of it. */
export interface KafkaWorld {
  readonly system: string
  readonly broker: string
  readonly admin: Admin
  open(options?: Partial<KafkaLogOptions>): Promise<Log>
  /** A proxy before the broker, which listens until the world ends. */
  proxy(): Promise<KafkaProxy>
  /** The address of a broker that takes no credentials, until the world ends. */
  refusing(): Promise<string>
  topicOf(source: string): string
  /** Deletes the topic of a source. Resolves when the broker knows it no more. */
  deleteTopic(source: string): Promise<void>
  /** Closes the logs and removes the system's topics. */
  dispose(): Promise<void>
  /** Closes the logs, where the brokers go, too. */
  abandon(): Promise<void>
}

export function createKafkaWorld(broker: string): KafkaWorld {
  const system = `t${randomUUID().slice(0, 13)}`
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [broker], retries: 0, timeout: 10_000 })
  const opened: Log[] = []
  const proxies: KafkaProxy[] = []
  const refusing: { close(): void }[] = []

  async function topics(): Promise<string[]> {
    return (await admin.listTopics()).filter((name) => name.startsWith(`${system}.`))
  }

  return {
    system,
    broker,
    admin,

    async open(options = {}) {
      const log = await createKafkaLog({
        brokers: [broker],
        system,
        partitions: 8,
        replicas: 1,
        host: createNodeHost(),
        ...options,
      })
      opened.push(log)
      return log
    },

    topicOf: (source) => `${system}.${source}`,

    async proxy() {
      const [target] = (await admin.metadata({ topics: [] })).brokers.values() // as the broker calls itself
      const proxy = new KafkaProxy(target!)
      await proxy.listen()
      proxies.push(proxy)
      return proxy
    },

    async refusing() {
      const one = await startRefusing()
      refusing.push(one)
      return `127.0.0.1:${one.port}`
    },

    async deleteTopic(source) {
      await admin.deleteTopics({ topics: [`${system}.${source}`] })
      await until('the topic is gone', async () => !(await topics()).includes(`${system}.${source}`))
    },

    async abandon() {
      await Promise.all(opened.map((log) => log.close()))
      await admin.close()
    },

    async dispose() {
      await Promise.all(opened.map((log) => log.close()))
      for (const proxy of proxies) await proxy.refuse()
      for (const one of refusing) one.close()
      const left = await topics()
      if (left.length > 0) await admin.deleteTopics({ topics: left })
      await admin.close()
    },
  }
}

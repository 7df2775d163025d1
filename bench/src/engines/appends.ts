import { createNodeHost } from '@atoll/host/node'
import { silentLogger } from '@atoll/host'
import type { LogRecord, Offset, StoredRecord } from '@atoll/log/driver'
import { createOrder } from '../order.ts'
import { median, type Result } from '../result.ts'
import { openLog, PARTITIONS, type LogEngine } from './logs.ts'
import { PAGE, readPages, type Raw } from './raw/raw.ts'

const ROUNDS = 5
/** The most that a relay hands to the log at a time, and what it hands over when not so much is going on. */
const batchSizes = [512, 64] as const
/**
 * As many for both sizes: of fewer small batches, most of the time would be that of the first ones, in which a
 * connection prepares its statements.
 */
const EVENTS = 8_192
/** Where a batch takes long, fewer of them say the same. */
const BATCHES_MIN = 4
const APPENDING_MS = 400

/** What the log should reach of its engine's raw client. */
const goals: Readonly<Record<LogEngine, number>> = { postgres: 0.6, nats: 0.5, kafka: 0.5, rabbitmq: 0.5, redis: 0.5 }

/**
 * The log beside its engine's raw client, which writes the same events in the same batches, one batch after the other
 * is durable, and reads them back in order. They take turns, and the median counts; of several ways to write by hand,
 * the faster one.
 */
export async function measureAppends(engine: LogEngine, url: string): Promise<Result[]> {
  const ways = await openRaw(engine, url)
  const results: Result[] = []
  try {
    for (const size of batchSizes) {
      const rounds: Round[] = []
      for (let round = -1; round < ROUNDS; round++) {
        const raw: Rates[] = []
        for (const way of ways) raw.push(await measureRaw(way, size))
        const measured = { raw, log: await measureLog(engine, url, size) }
        if (round >= 0) rounds.push(measured) // the first one is for the just-in-time compiler
      }
      for (const what of size === batchSizes[0] ? (['append', 'read'] as const) : (['append'] as const)) {
        const best = ways.map((_, way) => median(rounds.map(({ raw }) => raw[way]![what])))
        const fastest = best.indexOf(Math.max(...best))
        const name = what === 'append' ? `appends of ${size}` : 'reads'
        results.push(
          {
            name: `${engine}, ${name}: raw (${ways[fastest]!.name})`,
            value: best[fastest]!,
            unit: 'events/s',
            goal: 0,
          },
          {
            name: `${engine}, ${name}: the log`,
            value: median(rounds.map(({ log }) => log[what])),
            unit: 'events/s',
            ratio: median(rounds.map(({ raw, log }) => log[what] / raw[fastest]![what])),
            goal: goals[engine],
          },
        )
      }
    }
  } finally {
    for (const way of ways) await way.close()
  }
  return results
}

interface Rates {
  readonly append: number
  readonly read: number
}

interface Round {
  readonly raw: readonly Rates[]
  readonly log: Rates
}

async function openRaw(engine: LogEngine, url: string): Promise<Raw[]> {
  switch (engine) {
    case 'postgres':
      return (await import('./raw/postgres.ts')).createRawPostgres(url)
    case 'nats':
      return (await import('./raw/nats.ts')).createRawNats(url)
    case 'kafka':
      return (await import('./raw/kafka.ts')).createRawKafka(url)
    case 'rabbitmq':
      return (await import('./raw/rabbitmq.ts')).createRawRabbitmq(url)
    case 'redis':
      return (await import('./raw/redis.ts')).createRawRedis(url)
  }
}

async function measureRaw(way: Raw, size: number): Promise<Rates> {
  const source = await way.begin(freshName())
  try {
    return await measure(
      size,
      (records) => source.append(records),
      (count) => source.read(count),
    )
  } finally {
    await source.end()
  }
}

async function measureLog(engine: LogEngine, url: string, size: number): Promise<Rates> {
  const system = freshName()
  const open = () => openLog(engine, url, system, host, silentLogger)
  const log = await open()
  // Read by another process's log, as it were: one that has written nothing has nothing in memory.
  const reader = await open()
  try {
    const source = 'orders'
    const offsets = new Array<Offset | null>(PARTITIONS).fill(null)
    const page = async (partition: number): Promise<readonly StoredRecord[]> => {
      const records = await reader.read(source, partition, offsets[partition]!, PAGE)
      offsets[partition] = records[records.length - 1]?.offset ?? null
      return records
    }
    // it opens its connections when they are needed
    await Promise.all(offsets.map((_, partition) => reader.tail(source, partition)))
    return await measure(
      size,
      (records) => log.append(source, records),
      (count) => readPages(count, page),
    )
  } finally {
    await reader.close()
    await log.close()
  }
}

/** The first batch is not counted: it makes streams and tables. */
async function measure(
  size: number,
  append: (records: readonly LogRecord[]) => Promise<void>,
  read: (count: number) => Promise<number>,
): Promise<Rates> {
  const batches = createBatches(EVENTS / size + 1, size)
  await append(batches[0]!)
  const startedMs = performance.now()
  let appended = 1
  while (appended < batches.length && (appended <= BATCHES_MIN || performance.now() - startedMs < APPENDING_MS))
    await append(batches[appended++]!)
  const appendedMs = performance.now()
  const count = appended * size
  const found = await read(count)
  const readMs = performance.now()
  if (found !== count) throw new Error(`${count} events were appended, and ${found} read`)
  return { append: (count - size) / ((appendedMs - startedMs) / 1_000), read: count / ((readMs - appendedMs) / 1_000) }
}

const host = createNodeHost()
let names = 0

function freshName(): string {
  return `b${process.pid}x${Date.now().toString(36)}x${++names}`
}

function createBatches(count: number, size: number): LogRecord[][] {
  const numbers = new Array<number>(PARTITIONS).fill(0)
  return Array.from({ length: count }, (_, batch) =>
    Array.from({ length: size }, (_, at): LogRecord => {
      const index = batch * size + at
      const partition = (index * 7) % PARTITIONS
      const data = createOrder(index)
      return {
        partition,
        number: ++numbers[partition]!,
        order: String(index + 1),
        id: host.uuid(),
        type: 'order.placed',
        version: 1,
        key: data.orderId,
        at: Date.now(),
        data: JSON.stringify(data),
        trace,
        cause: host.uuid(),
      }
    }),
  )
}

const trace = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01'

import type { Engine } from './engine.ts'
import { kafka } from './engines/kafka.ts'
import { nats } from './engines/nats.ts'
import { postgres } from './engines/postgres.ts'
import { rabbitmq } from './engines/rabbitmq.ts'
import { redis } from './engines/redis.ts'
import type { EngineName } from './url.ts'

/**
 * Every engine. Its port in development is 214 and the last two digits of the engine's own default, so that it touches
 * none that is installed.
 */
export const engines: Readonly<Record<EngineName, Engine>> = { postgres, nats, kafka, rabbitmq, redis }

import { AtollError } from '@atoll/host'
import { AuthenticationError, findErrorBy, GenericError, MultipleErrors, TimeoutError } from '@platformatic/kafka'

/** What Kafka calls the error, such as `OFFSET_OUT_OF_RANGE`; undefined if it was not Kafka that refused. */
export function kafkaCodeOf(error: unknown): string | undefined {
  const found = error instanceof Error ? findErrorBy(error, 'code', 'PLT_KFK_PROTOCOL') : null
  return found === null ? undefined : String(found['apiId'])
}

/**
 * What a broker answered although it refused a part; undefined if there is no answer. The caller knows what it asked.
 */
export function answerOf<Response>(error: unknown): Response | undefined {
  if (!(error instanceof MultipleErrors) || error.code !== 'PLT_KFK_RESPONSE') return undefined
  return error['response'] as Response // the library keeps there what it parsed, of the type that the request has
}

/**
 * Leaders have moved or are not sure yet of what they have, or the topic was deleted or made anew: what was known of it
 * is out of date.
 */
export function isStale(error: unknown): boolean {
  return staleCodes.has(kafkaCodeOf(error) ?? '')
}

const staleCodes: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'BROKER_NOT_AVAILABLE',
  'OFFSET_NOT_AVAILABLE',
])

/** Another writer has taken over, or the broker has forgotten this one. Nothing of the batch was written. */
export function isFenced(error: unknown): boolean {
  return fencedCodes.has(kafkaCodeOf(error) ?? '')
}

const fencedCodes: ReadonlySet<string> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_ID_MAPPING',
])

/** The coordinator of the right to write is being found, or is busy for a moment. */
export function isCoordinating(error: unknown): boolean {
  return coordinatingCodes.has(kafkaCodeOf(error) ?? '')
}

const coordinatingCodes: ReadonlySet<string> = new Set([
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
])

/** The broker took the question and owes the answer. */
export function isTimeout(error: unknown): boolean {
  return error instanceof TimeoutError
}

/** Whether the way to a broker failed, and not what was asked of it. */
export function isNetworkFailure(error: unknown): boolean {
  return (
    error instanceof GenericError &&
    (error.code === 'PLT_KFK_NETWORK' || error instanceof AuthenticationError || isAuthentication(error))
  )
}

/** What happened, as an AtollError that names what was asked; what is one already stays as it is. */
export function toAtollError(error: unknown, what: string): AtollError {
  if (error instanceof AtollError) return error
  if (isAuthentication(error)) {
    return new AtollError(
      'UNAVAILABLE',
      `Kafka refuses the credentials (${what}): check the mechanism, the user and the password under sasl`,
      { cause: error },
    )
  }
  const code = kafkaCodeOf(error)
  if (code !== undefined) return refused(code, what, error)
  const reason = error instanceof Error ? deepest(error).message : String(error)
  if (error instanceof GenericError || error instanceof MultipleErrors)
    return new AtollError('UNAVAILABLE', `Kafka cannot be reached (${what}): ${reason}`, { cause: error })
  return AtollError.from(error)
}

function refused(code: string, what: string, cause: unknown): AtollError {
  if (code.endsWith('_AUTHORIZATION_FAILED')) {
    return new AtollError(
      'UNAVAILABLE',
      `Kafka does not let this user do this (${code}): ${what}; grant it the rights that the manual of the Kafka log lists`,
      { cause },
    )
  }
  const remedy = remedies[code]
  if (remedy) return new AtollError(remedy[0], `Kafka refused (${code}): ${what}; ${remedy[1]}`, { cause })
  return new AtollError('UNAVAILABLE', `Kafka refused (${code}): ${what}; look at the brokers, and try again`, {
    cause,
  })
}

const remedies: Readonly<
  Record<string, readonly ['UNAVAILABLE' | 'UNSUPPORTED' | 'BODY_TOO_LARGE' | 'INVALID', string]>
> = {
  NOT_ENOUGH_REPLICAS: ['UNAVAILABLE', 'fewer replicas are in sync than min.insync.replicas; bring the brokers back'],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [
    'UNAVAILABLE',
    'fewer replicas are in sync than min.insync.replicas; bring the brokers back',
  ],
  KAFKA_STORAGE_ERROR: ['UNAVAILABLE', 'the disk of a broker fails or is full'],
  MESSAGE_TOO_LARGE: ['BODY_TOO_LARGE', 'raise max.message.bytes of the topic; atoll doctor says how far'],
  RECORD_LIST_TOO_LARGE: [
    'BODY_TOO_LARGE',
    'raise max.message.bytes of the topic and segment.bytes; atoll doctor says how far',
  ],
  INVALID_TIMESTAMP: [
    'INVALID',
    'the time of an event is outside of what the topic takes; raise message.timestamp.after.max.ms and message.timestamp.before.max.ms',
  ],
  INVALID_REPLICATION_FACTOR: [
    'UNAVAILABLE',
    'there are fewer brokers than `log.replicas` asks for; bring them up, or set it to 1 for a machine of your own (ATOLL_LOG_REPLICAS=1)',
  ],
  POLICY_VIOLATION: ['UNSUPPORTED', 'a policy of the cluster forbids such a topic; create it by hand'],
  INVALID_TOPIC_EXCEPTION: [
    'UNSUPPORTED',
    'the cluster refuses the name of the topic; choose another name for the system or the service',
  ],
  UNSUPPORTED_VERSION: ['UNSUPPORTED', 'the broker is too old; use Apache Kafka 3.6 or later'],
}

function isAuthentication(error: unknown): boolean {
  return (
    error instanceof Error &&
    (findErrorBy(error, 'code', 'PLT_KFK_AUTHENTICATION') !== null ||
      (error.cause instanceof Error && isAuthentication(error.cause)))
  )
}

function deepest(error: Error): Error {
  const next: unknown = error instanceof AggregateError ? error.errors[0] : error.cause
  return next instanceof Error ? deepest(next) : error
}

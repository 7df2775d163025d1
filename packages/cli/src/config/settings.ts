import { defaultLimits, type GatewayLimits } from '@atoll/gateway'
import { mishaps, type Mishap } from '@atoll/host'
import { defaultOptions } from 'atoll/runtime'
import { z } from 'zod'
import { readDigits } from '../digits.ts'
import { loopStallMsMax } from '../watchdog/watchdog.ts'

/** One setting: what it takes, how the environment writes it, and what it means. */
interface Setting<T> {
  readonly schema: z.ZodType<T>
  /** What to give, for messages: `a whole number from 1 on`. */
  readonly expects: string
  readonly meaning: string
  /** Reads the text of an environment variable into what the schema takes. */
  readonly fromText: (text: string) => unknown
  /** Further variables that set it, which others have made known. */
  readonly variables?: readonly string[]
  /** Never shown. */
  readonly isSecret?: boolean
  /** A path: one in a file is meant from the file's folder. */
  readonly isPath?: boolean
  /** Shown where nothing is set. */
  readonly otherwise: string
}

const asIs = (text: string): string => text

/** What is no number stays as it was given, so that the message shows that. */
function readNumber(text: string): unknown {
  return readDigits(text) ?? text
}

function text(meaning: string, otherwise: string, more: Partial<Setting<string>> = {}): Setting<string> {
  return { schema: z.string().min(1), expects: 'a text', meaning, fromText: asIs, otherwise, ...more }
}

function count(
  meaning: string,
  otherwise: number | string,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): Setting<number> {
  const expects = `a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? ' on' : ` to ${most}`}`
  return { schema: z.int().min(least).max(most), expects, meaning, fromText: readNumber, otherwise: String(otherwise) }
}

function port(meaning: string, otherwise: string, variables: readonly string[] = []): Setting<number> {
  return { ...count(meaning, otherwise, 0, 65_535), expects: 'a port from 0 to 65535; 0 takes a free one', variables }
}

/** An address by its scheme; what is behind it may hold a password, so messages never repeat it. */
function address(schemes: readonly string[], meaning: string, otherwise: string): Setting<string> {
  const pattern = new RegExp(`^(?:${schemes.map((scheme) => scheme.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`)
  return {
    schema: z
      .string()
      .regex(pattern)
      .refine((url) => !noFolder.test(url)),
    expects: `an address that begins with ${schemes.join(', ')}`,
    meaning,
    fromText: asIs,
    otherwise,
  }
}

function runtime(name: keyof typeof defaultOptions & string, meaning: string): Setting<number> {
  return count(meaning, String(defaultOptions[name]))
}

function edge(name: keyof GatewayLimits, meaning: string, least = 1, most = COUNT_MAX): Setting<number> {
  return count(meaning, String(defaultLimits[name]), least, most)
}

/** What counts bytes, levels or requests. More bytes than that are no text that Node.js can hold. */
const COUNT_MAX = 2 ** 29
/** A timer for longer than that fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** Deeper than that, the runtime takes no input. */
const DEPTH_MAX = 500

/** What SQLite takes for other things than a folder. */
const noFolder = /^sqlite:(:memory:|file:|$)/

const addresses = z.array(z.string().regex(/^https?:\/\/[^/]+\/?$/)).min(1)

/**
 * Every setting, by its key. The key is its path in a file, and, in capitals, its variable: `calls.port` is
 * `ATOLL_CALLS_PORT`.
 */
export const settings = {
  system: text('the module whose default export is the system', 'named on the command line', { isPath: true }),
  instance: text(
    'names this process among the instances of the system; one that comes back under its name takes its partitions back at once',
    'host name, process id and chance',
    {
      schema: z.string().regex(/^[A-Za-z0-9._-]{1,100}$/),
      expects: 'up to 100 letters, digits, dots, dashes and underscores',
    },
  ),
  'store.url': address(
    ['sqlite:', 'postgres://', 'postgresql://'],
    'where the stores are: sqlite:<folder> or postgres://…',
    'sqlite:data/<system>',
  ),
  'log.url': address(
    [
      'embedded',
      'postgres://',
      'postgresql://',
      'nats://',
      'tls://',
      'kafka://',
      'kafkas://',
      'amqp://',
      'amqps://',
      'rabbitmq://',
      'redis://',
      'rediss://',
    ],
    'where the event log is: embedded, or the address of an engine',
    'embedded',
  ),
  'log.replicas': count('on how many servers of the engine each record is to lie (NATS, Kafka)', 'as the driver says'),
  'log.monitoring': {
    schema: addresses,
    expects: 'addresses: ["http://nats-1:8222"], or, as a variable, http://nats-1:8222,http://nats-2:8222',
    meaning: 'where servers tell their settings, for the doctor (NATS, RabbitMQ)',
    fromText: readList,
    otherwise: 'none',
  } satisfies Setting<string[]>,
  'calls.host': text('address at which services take calls of other processes', '127.0.0.1'),
  'calls.port': port('port of the same', '4100; a free one with a registry'),
  'calls.secret': text('what all processes of the system share, and nobody else knows', 'none: nothing starts', {
    isSecret: true,
    schema: z.string().regex(/^[\x21-\x7e][\x20-\x7e]{14,}[\x21-\x7e]$/),
    expects: 'at least 16 letters, digits and signs, such as `openssl rand -hex 32` prints',
  }),
  'calls.trustEveryLocalAccount': {
    schema: z.boolean(),
    expects: 'true or false',
    meaning: 'go without a secret, on loopback: every program on this machine may act in the name of every user',
    fromText: (text) => (text === 'true' ? true : text === 'false' ? false : text),
    otherwise: 'false',
  } satisfies Setting<boolean>,
  'calls.advertise': {
    ...address(
      ['http://', 'https://'],
      'where others reach this process, if that is not where it listens',
      'where it listens',
    ),
  },
  'gateway.host': text('address at which the gateway listens', '127.0.0.1'),
  'gateway.port': port('port of the gateway', '4000', ['PORT']),
  'gateway.bodyBytesMax': edge('bodyBytesMax', 'largest request body, bytes; between processes as much is taken'),
  'gateway.bodyDepthMax': edge('bodyDepthMax', 'levels of objects and lists in a request body', 1, DEPTH_MAX),
  'gateway.bodyValuesMax': edge('bodyValuesMax', 'fields and list elements of a request body'),
  'gateway.answerBytesMax': edge(
    'answerBytesMax',
    'largest body of an answer, bytes; between processes as much is taken',
  ),
  'gateway.headerBytesMax': edge('headerBytesMax', 'request line and headers together, bytes'),
  'gateway.headersTimeoutMs': edge(
    'headersTimeoutMs',
    'time for the headers of a request to arrive, milliseconds',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.requestTimeoutMs': edge(
    'requestTimeoutMs',
    'time for a whole request to arrive, milliseconds',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.keepAliveTimeoutMs': edge(
    'keepAliveTimeoutMs',
    'how long an idle connection is kept, milliseconds; longer than a balancer before it keeps one',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.requestsInFlightMax': edge(
    'requestsInFlightMax',
    'requests under way at a time, those apart whose body is still arriving; more are refused with 503',
  ),
  'gateway.connectionsMax': edge(
    'connectionsMax',
    'connections at a time; for one more, the connection that has waited longest for its client is closed',
  ),
  'gateway.pipelinedMax': edge(
    'pipelinedMax',
    'requests of one connection that wait for the answer to the one before; one more is answered 503, and the connection ends',
    0,
  ),
  'gateway.pipelinedTotalMax': edge(
    'pipelinedTotalMax',
    'the same over all connections; with more, the connections whose requests have waited longest are closed',
    0,
  ),
  'gateway.answerTimeoutMs': edge(
    'answerTimeoutMs',
    'how long a client may go without reading while it has an answer to read, milliseconds',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.unsentBytesMax': count(
    'answers that clients have not taken yet, bytes of all connections',
    defaultLimits.unsentBytesMax,
  ),
  'gateway.arrivingBytesMax': count(
    'bodies that are not whole yet, bytes of all connections',
    defaultLimits.arrivingBytesMax,
  ),
  'gateway.lingerMs': edge(
    'lingerMs',
    'how long a connection that ends goes on listening, milliseconds',
    0,
    TIMER_MS_MAX,
  ),
  'gateway.deadlineMs': edge(
    'deadlineMs',
    'time that an operation has when a client asks for it, milliseconds',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.positionsMax': edge('positionsMax', 'callers whose position is remembered, and as many addresses'),
  'gateway.positionAgeMsMax': edge(
    'positionAgeMsMax',
    'how long a position is remembered, milliseconds',
    1,
    TIMER_MS_MAX,
  ),
  'gateway.addressWaitMs': edge(
    'addressWaitMs',
    'how long a request waits for what a neighbour at its address has written, milliseconds',
    0,
    TIMER_MS_MAX,
  ),
  'discovery.static': {
    schema: z.record(z.string(), addresses),
    expects:
      'services with their addresses: { "articles": ["http://10.0.0.7:4100"] }, or, as a variable, articles=http://10.0.0.7:4100,http://10.0.0.8:4100;profiles=…',
    meaning: 'the instances of each service',
    fromText: readStatic,
    otherwise: 'none',
  } satisfies Setting<Record<string, string[]>>,
  'discovery.dns': address(
    ['http://', 'srv://'],
    'names by which instances are found: http://{service}.<domain>:<port>',
    'none',
  ),
  'discovery.registry': address(['http://', 'https://'], 'address of `atoll registry`', 'none'),
  accept: {
    schema: z.array(z.string().min(1)),
    expects:
      'names of findings: ["log:nats.sync-interval"], or, as a variable, log:nats.sync-interval,stores:postgres.fsync',
    meaning: 'settings of engines that are accepted by name although they break a promise; `atoll doctor` names them',
    fromText: readList,
    otherwise: 'none',
  } satisfies Setting<string[]>,
  survive: {
    schema: z.array(z.enum(mishaps)),
    expects: `mishaps, of ${mishaps.join(', ')}: ["loss of a node"], or, as a variable, loss of a node`,
    meaning: 'mishaps to which nothing acknowledged may be lost: a start on engines that would lose it is refused',
    fromText: readList,
    otherwise: 'what the promises say: process kill, OS crash, power loss',
  } satisfies Setting<Mishap[]>,
  drainMs: count('how long work under way may take when the process is told to stop, milliseconds', 10_000, 0),
  loopStallMsMax: count(
    'how long nothing of the process may run, such as in a loop without end, before it is ended, milliseconds; 0: for ever',
    loopStallMsMax,
    0,
  ),
  'logging.level': {
    ...text('what is logged', 'info'),
    schema: z.enum(['info', 'warn', 'error']),
    expects: 'info, warn or error',
  } satisfies Setting<'info' | 'warn' | 'error'>,
  'runtime.partitions': runtime(
    'partitions',
    'slices of each source; the same for all processes, and for the life of the data',
  ),
  'runtime.leaseMs': runtime('leaseMs', 'how long a lease holds without renewal, milliseconds'),
  'runtime.attemptsMax': runtime('attemptsMax', 'tries of an event before it becomes a dead letter'),
  'runtime.retryDelayMs': runtime('retryDelayMs', 'delay before the second try, milliseconds'),
  'runtime.retryDelayMsMax': runtime('retryDelayMsMax', 'the longest delay between tries, milliseconds'),
  'runtime.readBatchMax': runtime('readBatchMax', 'records read from the log at a time'),
  'runtime.handlingsInFlightMax': runtime(
    'handlingsInFlightMax',
    'keys of one partition whose events are in hand at a time',
  ),
  'runtime.retriesInFlightMax': runtime(
    'retriesInFlightMax',
    'keys of one partition whose held events are tried again at a time, beside those in hand',
  ),
  'runtime.handlingMs': runtime('handlingMs', 'time that one try of an event handler has, milliseconds'),
  'runtime.readAheadMax': runtime('readAheadMax', 'how far reading may run ahead, records'),
  'runtime.lostNumbersMax': runtime(
    'lostNumbersMax',
    'marks that a restored service puts into a partition at the most, to use up what subscribers have passed: as many as numbers were lost there, or as places in the commit order, if those are more',
  ),
  'runtime.commandsWhenOutdated': {
    schema: z.enum(['take', 'refuse']),
    expects: 'take or refuse',
    meaning: 'what becomes of the commands of a service whose store is older than the log',
    fromText: asIs,
    otherwise: `${defaultOptions.commandsWhenOutdated}; take in atoll dev`,
  } satisfies Setting<'take' | 'refuse'>,
  'runtime.operationsInFlightMax': runtime(
    'operationsInFlightMax',
    'commands of one service under way at a time, and as many queries',
  ),
  'runtime.relayBatchMax': runtime('relayBatchMax', 'events handed to the log at a time'),
  'runtime.relayTidyMs': runtime('relayTidyMs', 'how long relayed events may stay in the outbox, milliseconds'),
  'runtime.causalWaitMs': runtime('causalWaitMs', 'how long a causal operation waits, milliseconds'),
  'runtime.causalWaitsMax': runtime('causalWaitsMax', 'causal operations of one service that wait at a time'),
  'runtime.positionLookMs': runtime(
    'positionLookMs',
    'how often stores and services elsewhere are asked what causal operations wait for, milliseconds',
  ),
  'runtime.deadlineMs': runtime('deadlineMs', 'time that an operation has, milliseconds'),
  'runtime.answersKeptMs': runtime('answersKeptMs', 'how long the answer to an Idempotency-Key is kept, milliseconds'),
  'runtime.discardedKeptMs': runtime(
    'discardedKeptMs',
    'how long discarded dead letters are kept to be looked at, milliseconds; from then on they only count',
  ),
  'runtime.auditMs': runtime(
    'auditMs',
    'how often what was handled is held against what sources elsewhere have emitted, milliseconds',
  ),
  'runtime.lookMs': runtime('lookMs', 'how often readers look at the log without being told to, milliseconds'),
} as const

export type Key = keyof typeof settings

/** The values that are set. */
export type Values = { readonly [K in Key]?: z.output<(typeof settings)[K]['schema']> }

/** The setting of a key, of whatever kind. */
export function settingOf(key: Key): Setting<unknown> {
  return settings[key]
}

export const keys: readonly Key[] = Object.keys(settings) as Key[] // an object literal has no others

export function isKey(text: string): text is Key {
  return Object.hasOwn(settings, text)
}

/** `runtime.leaseMs` is `ATOLL_RUNTIME_LEASE_MS`. */
export function variableOf(key: Key): string {
  return `ATOLL_${key.replace(/[A-Z]/g, '_$&').replace('.', '_').toUpperCase()}`
}

function readList(text: string): unknown {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function readStatic(text: string): unknown {
  const entries = text
    .split(';')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const [service, urls] = part.split('=', 2)
      return [service!.trim(), (urls ?? '').split(',').map((url) => url.trim())] // split answers one part at least
    })
  return Object.fromEntries(entries)
}

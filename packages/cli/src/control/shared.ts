import {
  askInstance,
  dnsDiscovery,
  fixedDiscovery,
  registryDiscovery,
  type Discovery,
  type Instance,
} from '@atoll/calls'
import { AtollError, type Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { System } from 'atoll'
import {
  discardEach,
  openSystem,
  redriveEach,
  type Admin,
  type DiscardedLetter,
  type GoneLetter,
  type Ports,
  type RedriveOutcome,
  type RuntimeOptions,
} from 'atoll/runtime'
import type { Config } from '../config/config.ts'
import { openEnginesToLook, openLogAlone } from '../engines.ts'
import { noStores } from '../serve/nothing.ts'
import { runtimeOptions } from '../serve/process.ts'
import { answer, handlesEvents, type ControlRequest } from './protocol.ts'

/**
 * Asks a system that many processes share. What only looks is read from the engines, whoever runs; what handles events
 * goes to the instance that has the partition in question.
 */
export async function* askShared(
  system: System,
  config: Config,
  request: ControlRequest,
  signal: AbortSignal,
  logger: Logger,
): AsyncGenerator<unknown> {
  if (request.verb === 'events') {
    yield* withLog(system, config, logger, (admin) => answer(admin, request, signal))
    return
  }
  if (!handlesEvents(request)) {
    yield* withAdmin(system, config, logger, (admin) => answer(admin, request, signal))
    return
  }
  const fleet = new Fleet(system, config, signal, logger)
  try {
    if (request.verb === 'redrive') yield* redrive(system, config, request, fleet, logger)
    else if (request.verb === 'discard') yield* discard(system, config, request, fleet, logger)
    else if (request.verb === 'replay') yield* replay(system, request.subscription, fleet)
  } finally {
    await fleet.close()
  }
}

/** The whole system, to be looked at. */
async function* withAdmin<Item>(
  system: System,
  config: Config,
  logger: Logger,
  work: (admin: Admin) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const { stores, log, close } = await openEnginesToLook({
    config,
    system: system.name,
    host,
    logger,
    services: system.services,
  })
  try {
    yield* opened(system, { host, logger, stores, log }, runtimeOptions(config.values), work)
  } finally {
    await close()
  }
}

/** None of its services: what the log holds is there, wherever their stores are. */
async function* withLog<Item>(
  system: System,
  config: Config,
  logger: Logger,
  work: (admin: Admin) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const { log, close } = await openLogAlone({ config, system: system.name, host, logger })
  try {
    yield* opened(
      system,
      { host, logger, stores: noStores, log },
      { ...runtimeOptions(config.values), services: [] },
      work,
    )
  } finally {
    await close()
  }
}

async function* opened<Item>(
  system: System,
  ports: Ports,
  options: Partial<RuntimeOptions>,
  work: (admin: Admin) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const open = await openSystem(system, ports, options)
  try {
    yield* work(open.admin)
  } finally {
    await open.close()
  }
}

/**
 * Letter by letter: each is redriven by the instance that has its partition, and takes with it what is parked behind
 * it.
 */
async function* redrive(
  system: System,
  config: Config,
  { options }: Extract<ControlRequest, { verb: 'redrive' }>,
  fleet: Fleet,
  logger: Logger,
): AsyncGenerator<unknown> {
  const { id, subscription, dryRun } = options
  const letters = withAdmin(system, config, logger, (admin) => admin.walkDeadLetters({ id, subscription }))
  yield* redriveEach(
    letters,
    options,
    (letter) =>
      fleet.askOwner<RedriveOutcome | GoneLetter>(serviceOf(system, letter.subscription), 'redrive', {
        options: { id: letter.id, dryRun },
      }),
    (id) => findDiscarded(system, config, id, logger),
  )
}

/** Letter by letter, as redrive; and none that was not there when it was asked for. */
async function* discard(
  system: System,
  config: Config,
  { options }: Extract<ControlRequest, { verb: 'discard' }>,
  fleet: Fleet,
  logger: Logger,
): AsyncGenerator<unknown> {
  const { id, subscription, reason, by } = options
  const letters = withAdmin(system, config, logger, (admin) => admin.walkDeadLetters({ id, subscription }))
  yield* discardEach(
    letters,
    options,
    (letter) =>
      fleet.askOwner<DiscardedLetter>(serviceOf(system, letter.subscription), 'discard', {
        options: { id: letter.id, reason, by },
      }),
    (id) => findDiscarded(system, config, id, logger),
  )
}

function findDiscarded(system: System, config: Config, id: string, logger: Logger): Promise<DiscardedLetter[]> {
  return Array.fromAsync(withAdmin(system, config, logger, (admin) => admin.walkDiscarded({ id })))
}

async function* replay(system: System, subscription: string, fleet: Fleet): AsyncGenerator<unknown> {
  if (!system.subscriptions.some(({ name }) => name === subscription)) {
    const projections = system.subscriptions
      .filter(({ projection }) => projection !== undefined)
      .map(({ name }) => name)
    throw new AtollError(
      'COMMAND_USAGE',
      `there is no subscription ${subscription}; the projections are ${projections.join(', ') || 'none'}`,
    )
  }
  yield* fleet.askOwner(serviceOf(system, subscription), 'replay', { subscription })
}

/** The service that a subscription is of, also if this release does not have it: its name begins with that. */
function serviceOf(system: System, subscription: string): string {
  const [service] = subscription.split('.') as [string]
  if (system.services.some(({ name }) => name === service)) return service
  throw new AtollError(
    'COMMAND_USAGE',
    `there is no service ${service}; there are ${system.services.map(({ name }) => name).join(', ')}`,
  )
}

const host = createNodeHost()

/** The instances of a system, to be asked one after the other. */
class Fleet {
  readonly signal: AbortSignal
  readonly #discovery: Discovery
  readonly #secret: string | undefined

  constructor(system: System, { values }: Config, signal: AbortSignal, logger: Logger) {
    this.signal = signal
    this.#secret = values['calls.secret']
    const shared = { host, logger, secret: this.#secret, system: system.name }
    const { 'discovery.registry': url, 'discovery.dns': template, 'discovery.static': list } = values
    if (url !== undefined) this.#discovery = registryDiscovery({ ...shared, url })
    else if (template !== undefined)
      this.#discovery = dnsDiscovery({ ...shared, template, services: system.services.map(({ name }) => name) })
    else if (list !== undefined) this.#discovery = fixedDiscovery(list)
    else
      throw new AtollError(
        'CONFIG_INVALID',
        'nothing says where the instances are that should do it: set discovery.registry, discovery.dns or discovery.static (ATOLL_DISCOVERY_…) as they have it; if atoll up runs them, name its data folder with --data',
      )
  }

  /**
   * What the first instance says that does not refuse. While partitions change hands nobody may have the one in
   * question, so it asks again.
   */
  async *askOwner<Item>(service: string, verb: string, body: object): AsyncGenerator<Item> {
    const untilMs = host.monotonicMs() + OWNER_MS
    for (;;) {
      let refusal = new AtollError(
        'UNAVAILABLE',
        `no instance of ${service} is known${this.#discovery.problem === undefined ? '' : `: ${this.#discovery.problem}`}`,
      )
      for (const { url } of this.#instances(service)) {
        let answered = false
        try {
          for await (const item of askInstance(url, verb, body, { host, secret: this.#secret, signal: this.signal })) {
            answered = true
            yield item as Item // each verb has its item
          }
          return
        } catch (thrown) {
          const error = AtollError.from(thrown)
          if (answered || error.code !== 'UNAVAILABLE') throw error
          refusal = error
        }
      }
      if (host.monotonicMs() > untilMs || this.signal.aborted) throw refusal
      await new Promise<void>((resolve) => void setTimeout(resolve, ASK_AGAIN_MS))
    }
  }

  close(): Promise<void> {
    return this.#discovery.close()
  }

  #instances(service: string): readonly Instance[] {
    return this.#discovery.problem === undefined ? this.#discovery.instances(service) : []
  }
}

/** How long to look for the instance that has a partition: a lease and some more. */
const OWNER_MS = 15_000
const ASK_AGAIN_MS = 250

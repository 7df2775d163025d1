import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import { loadConfig } from '../config/config.ts'
import { warnOfReadable } from '../config/readable.ts'
import { answer } from '../control/protocol.ts'
import { listenForCommands } from '../control/server.ts'
import { placeOf } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { createLogger } from '../logging/logger.ts'
import { startProcess } from '../serve/process.ts'
import { watchStrays } from '../strays.ts'
import { watchLoop } from '../watchdog/watchdog.ts'
import { printConfig } from './config.ts'
import { leave } from './leave.ts'
import { toldToStop } from './told-to-stop.ts'

export interface StartOptions {
  service?: readonly string[]
  gateway?: boolean
  config?: string
  instance?: string
  port?: string
  callsPort?: string
  trustEveryLocalAccount?: boolean
  printConfig?: boolean
  json?: boolean
}

/** `atoll start`: some services of a system, or its gateway, in this process, until it is told to stop. */
export async function start(module: string | undefined, options: StartOptions): Promise<void> {
  const startedMs = performance.now()
  const told = toldToStop() // from here on: whoever is told to stop while it starts must drain, too
  const config = loadConfig({
    file: options.config,
    options: {
      '--instance': { key: 'instance', text: options.instance },
      '--port': { key: 'gateway.port', text: options.port },
      '--calls-port': { key: 'calls.port', text: options.callsPort },
      '--trust-every-local-account': {
        key: 'calls.trustEveryLocalAccount',
        text: options.trustEveryLocalAccount ? 'true' : undefined,
      },
    },
  })
  if (options.printConfig) return printConfig(config, options.json ?? false)
  if (options.port !== undefined && !options.gateway)
    throw new AtollError(
      'COMMAND_USAGE',
      '--port is that of the gateway, which does not start here; the one for calls is --calls-port',
    )
  const loaded = await loadSystemOf(module, config)
  const services = servicesOf(loaded.system, options)
  const instance = config.values.instance ?? `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`
  const logger = createLogger(config.values['logging.level'] ?? 'info')
  warnOfReadable(config, logger)
  const gateway = options.gateway ? { settings: loaded.gateway } : undefined
  const strays = watchStrays(logger)
  const watchdog = watchLoop(strays, logger, config.values.loopStallMsMax)
  const running = await startProcess(loaded.system, {
    config,
    module: loaded.path,
    services,
    instance,
    gateway,
    logger,
    attribution: strays.attribution,
  })
  const say = (text: string, facts: object): void => console.log(options.json ? JSON.stringify(facts) : text)
  const { callsUrl, callsBoundUrl, gatewayUrl } = running
  const bound = [
    ...(callsBoundUrl === undefined ? [] : [`calls at ${callsBoundUrl}`]),
    ...(gatewayUrl === undefined ? [] : [`gateway at ${gatewayUrl}`]),
  ]
  // It may wait long for its engines, and somebody has to know whom it would answer meanwhile.
  if (!options.json)
    console.log(
      `${loaded.system.name} listens for ${bound.join(', ')}${config.values['calls.secret'] === undefined ? ', and trusts every account of this machine (calls.trustEveryLocalAccount)' : ''}`,
    )

  let endListening = async (): Promise<void> => {}
  const failed = running.started.then(async () => {
    if (!running.running.isRunning) return // told to stop before
    const { folder } = running
    const data = folder()
    if (data !== undefined) {
      endListening = await listenForCommands(
        (request, signal) => answer(running.running.admin, request, signal),
        data,
        placeOf(config.values, loaded.system.name),
      )
    }
    const seconds = (performance.now() - startedMs) / 1_000
    const { store, log } = placeOf(config.values, loaded.system.name)
    const parts = [
      ...(callsUrl === undefined ? [] : [`${services.join(', ')} at ${callsUrl}`]),
      ...(gatewayUrl === undefined ? [] : [`gateway at ${gatewayUrl}`]),
    ]
    say(
      `${loaded.system.name} ready in ${seconds.toFixed(1)} s as ${instance}: ${parts.join('; ')}${services.length === 0 ? '' : ` — store ${store}, log ${log}`}`,
      {
        ready: true,
        system: loaded.system.name,
        instance,
        services,
        callsUrl,
        callsBoundUrl,
        gatewayUrl,
        seconds,
        pid: process.pid,
      },
    )
    return new Promise<never>(() => {})
  })
  try {
    await Promise.race([told, failed])
  } finally {
    if (!options.json) console.log('draining …')
    await endListening()
    watchdog.end()
    const isDrained = await running.stop()
    leave(logger)
    if (!isDrained) process.exitCode = NOT_DRAINED
    say(
      isDrained
        ? 'stopped; everything that was acknowledged is kept'
        : 'stopped; work was still under way when the time to drain ran out (drainMs). Everything that was acknowledged is kept',
      { stopped: true, isDrained },
    )
  }
}

/** Those that were named; all, if there is nothing else to start. */
function servicesOf(system: System, { service = [], gateway = false }: StartOptions): readonly string[] {
  const names = system.services.map(({ name }) => name)
  const unknown = service.find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw new AtollError('COMMAND_USAGE', `system ${system.name} has no service ${unknown}; it has ${names.join(', ')}`)
  if (service.length === 0 && !gateway) return names
  return [...new Set(service)]
}

/** Exit code of a process that had to leave work behind. */
const NOT_DRAINED = 3

import { resolve } from 'node:path'
import type { Logger } from '@atoll/host'
import { notePlaces } from '@atoll/store'
import { loadConfig, type Config } from '../config/config.ts'
import { keys, type Key, type Values } from '../config/settings.ts'
import { answer } from '../control/protocol.ts'
import { listenForCommands } from '../control/server.ts'
import { assertFolderName, folderOf, placeOf } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { createLogger } from '../logging/logger.ts'
import { assertNotAnothers } from '../note.ts'
import { runtimeOptions } from '../serve/process.ts'
import { start, type Started } from '../start.ts'
import { watchStrays } from '../strays.ts'
import { visible } from '../visible.ts'
import { watchLoop } from '../watchdog/watchdog.ts'
import { leave } from './leave.ts'
import { toldToStop } from './told-to-stop.ts'

export interface DevOptions {
  data?: string
  port?: string
  fresh?: boolean
  json?: boolean
  verbose?: boolean
}

/** `atoll dev`: the whole system in this process, until it is told to stop. */
export async function dev(module: string | undefined, options: DevOptions): Promise<void> {
  const startedMs = performance.now()
  const stop = toldToStop() // from here on: whoever is told to stop while it starts must drain, too
  const config = loadConfig({ options: { '--port': { key: 'gateway.port', text: options.port } } })
  const { values } = config
  const { system, gateway, path } = await loadSystemOf(module, config)
  const data = resolve(
    assertFolderName(options.data ?? folderOf(values['store.url'] ?? '') ?? `data/${system.name}`, '--data'),
  )
  assertNotAnothers(data, system.name)
  const logger = createLogger(options.verbose ? 'info' : (values['logging.level'] ?? 'warn'))
  sayWhatIsNotForDev(config, logger)
  notePlaces()
  const strays = watchStrays(logger)
  const watchdog = watchLoop(strays, logger, values.loopStallMsMax)
  const { partitions: _, ...runtime } = runtimeOptions(values) // a folder keeps the number that it began with
  const started = await start(system, {
    data,
    module: path,
    port: values['gateway.port'] ?? 4000,
    gateway,
    logger,
    attribution: strays.attribution,
    runtime,
    fresh: options.fresh ?? false,
  })
  const stopListening = await makeKnown(started, data, system.name)
  const seconds = (performance.now() - startedMs) / 1_000
  const { ready, brief } = started.running.readiness()
  if (options.json)
    console.log(
      JSON.stringify({
        ready,
        system: system.name,
        url: started.url,
        seconds,
        data,
        seeded: started.seeded,
        pid: process.pid,
      }),
    )
  else {
    const state = ready
      ? `ready at ${started.url} in ${seconds.toFixed(1)} s`
      : `runs at ${started.url} and is not ready (${brief.join('; ')})`
    console.log(visible`${system.name} ${state} — data in ${data}${started.seeded ? ', with demo data' : ''}`)
  }

  await stop
  if (!options.json) console.log('draining …')
  await stopListening()
  watchdog.end()
  await started.stop()
  leave(logger)
  console.log(options.json ? JSON.stringify({ stopped: true }) : 'stopped; everything that was acknowledged is on disk')
}

/**
 * Lets other commands find a system that has started; one that cannot be found does not go on. Returns what ends that.
 */
async function makeKnown(started: Started, data: string, system: string): Promise<() => Promise<void>> {
  try {
    return await listenForCommands(
      (request, signal) => answer(started.running.admin, request, signal),
      data,
      placeOf({ 'store.url': `sqlite:${data}` }, system),
    )
  } catch (error) {
    await started.stop().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/**
 * A configuration beside a system, or an environment, is mostly that of its processes. What of it holds for this one,
 * holds; what does not is said.
 */
function sayWhatIsNotForDev({ values, origins }: Config, logger: Logger): void {
  const ignored = keys
    .filter((key) => origins[key] !== undefined && !isForDev(key, values))
    .map((key) => `${key} (${origins[key]})`)
  if (ignored.length > 0)
    logger.warn(
      { settings: ignored },
      'these settings are for `atoll start` and `atoll up`, and not for `atoll dev`, which runs all of the system in this process, with its data in a folder',
    )
}

function isForDev(key: Key, values: Values): boolean {
  if (key === 'store.url') return folderOf(values[key]!) !== undefined // it is set
  if (key === 'log.url') return values[key] === 'embedded'
  return (
    key === 'system' ||
    key === 'gateway.port' ||
    key === 'logging.level' ||
    key === 'loopStallMsMax' ||
    (key.startsWith('runtime.') && key !== 'runtime.partitions')
  )
}

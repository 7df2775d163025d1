import { relative, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import { answer } from '../control/protocol.ts'
import { listenForCommands } from '../control/server.ts'
import { assertFolderName, placeOf } from '../engines.ts'
import { loadSystem } from '../load.ts'
import { createLogger } from '../logging/logger.ts'
import { assertNotAnothers, noteSystem, start } from '../start.ts'
import { watchStrays } from '../strays.ts'
import { watchLoop } from '../watchdog/watchdog.ts'
import { toldToStop } from './told-to-stop.ts'

export interface DevOptions {
  data?: string
  port?: string
  fresh?: boolean
  json?: boolean
  verbose?: boolean
}

/** `atoll dev`: the whole system in this process, until it is told to stop. */
export async function dev(module: string, options: DevOptions): Promise<void> {
  const startedMs = performance.now()
  const stop = toldToStop() // from here on: whoever is told to stop while it starts must drain, too
  const { system, gateway, path } = await loadSystem(module)
  const data = assertFolderName(options.data ?? `data/${system.name}`, '--data')
  assertNotAnothers(data, system.name)
  const logger = createLogger(options.verbose ? 'info' : 'warn')
  const strays = watchStrays(logger)
  const watchdog = watchLoop(strays, logger)
  const started = await start(system, {
    data,
    port: portOf(options.port ?? process.env['PORT'] ?? '4000'),
    gateway,
    logger,
    attribution: strays.attribution,
    fresh: options.fresh ?? false,
  })
  noteSystem(data, { module: path, system: system.name })
  const stopListening = await listenForCommands((request, signal) => answer(started.running.admin, request, signal), data, placeOf({ 'store.url': `sqlite:${resolve(data)}` }, system.name))
  const seconds = (performance.now() - startedMs) / 1_000
  const where = relative(process.cwd(), data) || data
  if (options.json) console.log(JSON.stringify({ ready: true, system: system.name, url: started.url, seconds, data: where, seeded: started.seeded, pid: process.pid }))
  else console.log(`${system.name} ready at ${started.url} in ${seconds.toFixed(1)} s — data in ${where}${started.seeded ? ', with demo data' : ''}`)

  await stop
  if (!options.json) console.log('draining …')
  await stopListening()
  watchdog.end()
  await started.stop()
  console.log(options.json ? JSON.stringify({ stopped: true }) : 'stopped; everything that was acknowledged is on disk')
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new AtollError('COMMAND_USAGE', `'${text}' is not a port; give a number from 0 to 65535`)
}

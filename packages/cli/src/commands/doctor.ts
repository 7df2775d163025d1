import { resolve } from 'node:path'
import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { findDataFolder } from '@atoll/sqlite'
import { loadConfig, type Config } from '../config/config.ts'
import { diagnose } from '../doctor/diagnosis.ts'
import { formatDiagnosis } from '../doctor/text.ts'
import { examineEngines } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { notedSystem } from '../note.ts'
import { findPlace } from '../place.ts'
import { toVisibleJson } from '../visible.ts'

export interface DoctorOptions {
  config?: string
  data?: string
  json?: boolean
}

/** `atoll doctor`: what the engines' settings mean for the promises. Exit code 1 if a start would be refused. */
export async function doctor(module: string | undefined, options: DoctorOptions): Promise<void> {
  const config = configOf(module, options)
  const { system } = await loadSystemOf(module, config)
  const { stores, log } = await examineEngines({
    config,
    system: system.name,
    host: createNodeHost(),
    logger: silentLogger,
    services: system.services,
  })
  const diagnosis = diagnose(stores, log, config.values)
  console.log(options.json ? toVisibleJson(diagnosis) : formatDiagnosis(diagnosis))
  if (diagnosis.broken.length > 0) process.exitCode = 1
}

/**
 * What is to be examined: what the configuration says, or, where that names no system and nobody else does, the data
 * folder that the other commands find.
 */
function configOf(module: string | undefined, options: DoctorOptions): Config {
  if (options.data === undefined) {
    const config = loadConfig({ file: options.config })
    if ((module ?? config.values.system) !== undefined) return config
  }
  const place = findPlace(options)
  return 'data' in place ? configOfFolder(place.data, module) : place.config
}

/** What `atoll dev` runs with in a folder. */
function configOfFolder(folder: string, module: string | undefined): Config {
  if (findDataFolder(folder) === undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      `there is no data folder ${resolve(folder)}; name one in which a system has run with --data`,
    )
  const system = notedSystem(folder)?.module
  if ((module ?? system) === undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      `${resolve(folder)} does not say which system it belongs to; name the module of the system as well (atoll doctor src/system.ts --data …), or another folder with --data`,
    )
  return {
    values: { 'store.url': `sqlite:${resolve(folder)}`, ...(system !== undefined && { system }) },
    origins: { 'store.url': '--data' },
    file: undefined,
  }
}

import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import { findDataFolder } from '@atoll/sqlite'
import { loadConfig } from './config/config.ts'
import type { Place } from './control/client.ts'
import { CONTROL_FILE } from './control/server.ts'
import { assertFolderName, folderOf } from './engines.ts'
import { notedSystem } from './note.ts'
import { hasLog } from './start.ts'

/** How a command line names a place. */
export interface PlaceOptions {
  data?: string
  config?: string
}

/**
 * What to ask: a data folder that was named, else what a configuration or the environment names, else a data folder
 * that is there.
 */
export function findPlace(options: PlaceOptions): Place {
  if (options.data !== undefined && options.config !== undefined)
    throw new AtollError('COMMAND_USAGE', 'give --data or --config: a system lies in a folder, or on engines')
  if (options.data !== undefined) return { data: assertFolderName(options.data, '--data') }
  const config = loadConfig({ file: options.config })
  const { 'store.url': store, 'log.url': log = 'embedded' } = config.values
  const folder = store === undefined ? undefined : folderOf(store)
  const isOnEngines = log !== 'embedded' || (store !== undefined && folder === undefined)
  return isOnEngines ? { config } : { data: folder ?? onlyDataFolder() }
}

/** The module of the system that lies there; undefined if nothing says it. */
export function findModule(options: PlaceOptions): string | undefined {
  const place = findPlace(options)
  return 'data' in place ? notedSystem(place.data)?.module : place.config.values.system
}

/** The only data folder there is; or the only one of a system that runs. */
function onlyDataFolder(): string {
  const all = findDataFolder('data') !== undefined ? readdirSync('data').map((name) => join('data', name)) : []
  const running = all.filter((folder) => existsSync(join(folder, CONTROL_FILE)))
  const folders = all.filter((folder) => hasLog(folder) || running.includes(folder))
  for (const found of [folders, running]) if (found.length === 1) return found[0]!
  const several = folders.length > 0
  throw new AtollError(
    'COMMAND_USAGE',
    several
      ? `there are several data folders (${folders.join(', ')}); name one with --data`
      : `there is no data folder below ${resolve('data')}; name one with --data, or the configuration of a system on engines with --config`,
  )
}

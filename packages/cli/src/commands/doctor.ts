import { resolve } from 'node:path'
import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { findDataFolder } from '@atoll/sqlite'
import { loadConfig, type Config } from '../config/config.ts'
import { diagnose } from '../doctor/diagnosis.ts'
import { formatDiagnosis } from '../doctor/text.ts'
import { assertFolderName, examineEngines } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { notedSystem } from '../note.ts'
import { toVisibleJson } from '../visible.ts'

export interface DoctorOptions {
  config?: string
  data?: string
  json?: boolean
}

/** `atoll doctor`: what the engines' settings mean for the promises. Exit code 1 if a start would be refused. */
export async function doctor(module: string | undefined, options: DoctorOptions): Promise<void> {
  const config = options.data === undefined ? loadConfig({ file: options.config }) : configOf(options.data, options.config)
  const { system } = await loadSystemOf(module, config)
  const { stores, log } = await examineEngines({ config, system: system.name, host: createNodeHost(), logger: silentLogger, services: system.services })
  const diagnosis = diagnose(stores, log, config.values)
  console.log(options.json ? toVisibleJson(diagnosis) : formatDiagnosis(diagnosis))
  if (diagnosis.broken.length > 0) process.exitCode = 1
}

/** What `atoll dev` runs with in a folder. */
function configOf(data: string, file: string | undefined): Config {
  if (file !== undefined) throw new AtollError('COMMAND_USAGE', 'give --data or --config: a system lies in a folder, or on engines')
  const folder = assertFolderName(data, '--data')
  if (findDataFolder(folder) === undefined) throw new AtollError('COMMAND_USAGE', `there is no data folder ${resolve(folder)}; start a system there first`)
  const system = notedSystem(folder)?.module
  return { values: { 'store.url': `sqlite:${resolve(folder)}`, ...(system !== undefined && { system }) }, origins: { 'store.url': '--data' }, file: undefined }
}

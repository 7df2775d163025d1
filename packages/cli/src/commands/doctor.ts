import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { loadConfig } from '../config/config.ts'
import { diagnose } from '../doctor/diagnosis.ts'
import { formatDiagnosis } from '../doctor/text.ts'
import { examineEngines } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { toVisibleJson } from '../visible.ts'

export interface DoctorOptions {
  config?: string
  json?: boolean
}

/** `atoll doctor`: what the engines' settings mean for the promises. Exit code 1 if a start would be refused. */
export async function doctor(module: string | undefined, options: DoctorOptions): Promise<void> {
  const config = loadConfig({ file: options.config })
  const { system } = await loadSystemOf(module, config)
  const { stores, log } = await examineEngines({ config, system: system.name, host: createNodeHost(), logger: silentLogger, services: system.services })
  const diagnosis = diagnose(stores, log, config.values)
  console.log(options.json ? toVisibleJson(diagnosis) : formatDiagnosis(diagnosis))
  if (diagnosis.broken.length > 0) process.exitCode = 1
}

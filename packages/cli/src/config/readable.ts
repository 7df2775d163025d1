import { statSync } from 'node:fs'
import { relative } from 'node:path'
import type { Logger } from '@atoll/host'
import { maskSecrets } from '../secrets.ts'
import type { Config } from './config.ts'
import { keys, settingOf, variableOf } from './settings.ts'

/**
 * Warns of a configuration that holds secrets and that every account of this machine can read. Where files have no such
 * modes, nothing is known of it.
 */
export function warnOfReadable({ values, origins, file }: Config, logger: Logger): void {
  if (file === undefined || process.platform === 'win32' || (statSync(file).mode & OTHERS_READ) === 0) return
  const name = relative(process.cwd(), file) || file
  const secret = keys.filter((key) => {
    const value = values[key]
    return (
      origins[key] === name && typeof value === 'string' && (settingOf(key).isSecret || maskSecrets(value) !== value)
    )
  })
  if (secret.length === 0) return
  logger.warn(
    { file, settings: secret },
    `every account of this machine can read the secrets in this file: chmod o-r it, or set ${secret.map(variableOf).join(', ')}`,
  )
}

const OTHERS_READ = 0o004

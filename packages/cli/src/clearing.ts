import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import { isAtollDatabase, ownFile } from '@atoll/sqlite'
import type { System } from 'atoll'

/**
 * What there is in a data folder that a new beginning deletes: what Atoll keeps there, of this system or of one before
 * it. Throws COMMAND_USAGE if there is anything else.
 */
export function clearable(data: string, system: System): string[] {
  const names = readdirSync(data)
  const foreign = names.find((name) => !isOurs(data, name, system))
  if (foreign !== undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      `${data} holds ${foreign}, which is not Atoll's; nothing was deleted. Choose a folder for data alone`,
    )
  // A database goes after what lies beside it: alone, that could not say whose it is.
  return names
    .filter((name) => ownFile(name)?.kind !== 'guard')
    .sort((a, b) => Number(a.endsWith('.db')) - Number(b.endsWith('.db')))
}

function isOurs(data: string, name: string, system: System): boolean {
  const own = ownFile(name)
  if (own?.kind !== 'database') return own !== undefined
  return isOf(system, own.database) || isThere(data, `${own.database}.db`)
}

/**
 * The log, a service's store, or a projection's: those that were cut off as they were made do not say yet what they
 * are.
 */
function isOf({ services }: System, store: string): boolean {
  if (store === 'log') return true
  return services.some(
    ({ name, projections }) =>
      store === name ||
      projections.some((projection) => new RegExp(`^${name}\\.${projection.name}\\.\\d+$`).test(store)),
  )
}

function isThere(data: string, file: string): boolean {
  try {
    return isAtollDatabase(join(data, file))
  } catch {
    return false // it is not there, or is no file
  }
}

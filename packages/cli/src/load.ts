import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import type { Config } from './config/config.ts'
import type { GatewaySettings } from './gateway.ts'

/** What a system module exports. */
export interface SystemModule {
  readonly system: System
  readonly gateway: GatewaySettings | undefined
  /** Absolute. */
  readonly path: string
}

/** Loads a module whose default export is a system; `export const gateway` may say how its gateway should be. */
export async function loadSystem(module: string): Promise<SystemModule> {
  const path = resolve(module)
  if (!existsSync(path))
    throw new AtollError(
      'COMMAND_USAGE',
      `there is no file ${path}; name the module whose default export is your system`,
    )
  if (!isModule(path))
    throw new AtollError(
      'COMMAND_USAGE',
      `${path} is no module of TypeScript or JavaScript; name the one whose default export is your system, such as src/system.ts`,
    )
  const exports = await load(path)
  if (!isSystem(exports.default))
    throw new AtollError(
      'COMMAND_USAGE',
      `${path} has no system as its default export: export default system('name', { services: […] })`,
    )
  return { system: exports.default, gateway: exports.gateway, path }
}

/** The module that was named, here or in the configuration. */
export async function loadSystemOf(module: string | undefined, config: Config): Promise<SystemModule> {
  const path = module ?? config.values.system
  if (path === undefined)
    throw new AtollError(
      'COMMAND_USAGE',
      'name the module of the system: as an argument (src/system.ts) where the command takes one, or by `system` in the configuration (atoll.json, --config, ATOLL_SYSTEM)',
    )
  return loadSystem(path)
}

async function load(path: string): Promise<{ default?: unknown; gateway?: GatewaySettings }> {
  try {
    // what it is, is looked at next
    return (await import(pathToFileURL(path).href)) as { default?: unknown; gateway?: GatewaySettings }
  } catch (error) {
    if (error instanceof AtollError) throw error // says itself what does not fit together
    throw new AtollError('COMMAND_USAGE', `${path} cannot be loaded: ${reasonOf(error)}`, { cause: error })
  }
}

function isModule(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path) && statSync(path).isFile()
}

/** What cannot be imported is named; of what else a module throws, only the stack says where. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && namesItself.has(error.code) ? error.message : (error.stack ?? error.message)
}

/** Where Node.js refuses an import, its message says which. */
const namesItself: ReadonlySet<unknown> = new Set([
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_DIR_IMPORT',
  'ERR_IMPORT_ATTRIBUTE_MISSING',
])

function isSystem(value: unknown): value is System {
  return (
    typeof value === 'object' &&
    value !== null &&
    'services' in value &&
    'operations' in value &&
    'subscriptions' in value
  )
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import { findDataFolder, writePrivately } from '@atoll/sqlite'
import { syncFolder } from './syncing.ts'

/** What last ran in a data folder. */
export interface Noted {
  /**
   * Absolute path of the module whose default export is the system; undefined if a program started it that has said no
   * module.
   */
  readonly module?: string | undefined
  /** Name of the system. */
  readonly system: string
}

/**
 * Says whose data a folder holds, so that other commands can find the system, and other systems keep off. Before the
 * first database is made: a start that ends early leaves none that belong to nobody. Without a module, one that was
 * noted before stays.
 */
export function noteSystem(data: string, noted: Noted): void {
  if (noted.module === undefined && notedSystem(data)?.system === noted.system) return
  writePrivately(join(data, SYSTEM), JSON.stringify(noted))
  syncFolder(data)
}

/**
 * What {@link noteSystem} noted; undefined if there is nothing. DATA_UNUSABLE for what is no folder, or has a note that
 * says nothing: nobody would know whose the data are.
 */
export function notedSystem(data: string): Noted | undefined {
  if (findDataFolder(data) === undefined) return undefined
  const file = join(data, SYSTEM)
  try {
    const noted: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (isNoted(noted)) return noted
  } catch (error) {
    if (isMissing(error)) return undefined // a folder that no system has run in
    throw unreadable(file, error)
  }
  throw unreadable(file)
}

/**
 * Keeps a system off a folder in which another one has run: it would mix with its data, and a new beginning would
 * delete them. COMMAND_USAGE; DATA_UNUSABLE if nobody can tell.
 */
export function assertNotAnothers(data: string, system: string): void {
  const owner = notedSystem(data)?.system
  if (owner === undefined || owner === system) return
  throw new AtollError(
    'COMMAND_USAGE',
    `${data} holds the data of system ${owner}, and this is system ${system}; name another folder (--data, or store.url for \`atoll start\`)`,
  )
}

/** Anybody may have written there since: by hand, or a disk that lost what it had. */
function isNoted(value: unknown): value is Noted {
  if (
    typeof value !== 'object' ||
    value === null ||
    !('system' in value) ||
    typeof value.system !== 'string' ||
    value.system === ''
  )
    return false
  return !('module' in value) || (typeof value.module === 'string' && value.module !== '')
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function unreadable(file: string, cause?: unknown): AtollError {
  return new AtollError(
    'DATA_UNUSABLE',
    `${file} does not say which system ran here last, so nobody may be let in: if you know whose data these are, delete that file and start that system here; it is written anew`,
    { cause },
  )
}

const SYSTEM = 'system.json'

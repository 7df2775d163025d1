import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import { isOutOfSpace } from './errors.ts'
import { NEXT, ownFile } from './ours.ts'

// What lies in a data folder is its owner's alone: there are everybody's messages in it, and whoever can open a file of
// SQLite for reading can lock it.

/** Has a file that its owner alone may open: made, if it is not there, or taken from the others. */
function keepFilePrivate(file: string): void {
  if (takeFromOthers(file) === 'nothing') closeSync(openSync(file, 'a', FILE_MODE))
}

/**
 * Writes a small file that its owner alone may open, as a whole or not at all: what was there stays if there is no room
 * (STORE_FULL), or the power goes. DATA_UNUSABLE if a folder is in its place.
 */
export function writePrivately(file: string, text: string): void {
  const next = file + NEXT
  try {
    writeSynced(next, text)
    takeFromOthers(next)
    renameSync(next, file)
  } catch (error) {
    removeCutOff(next)
    if (isOutOfSpace(error))
      throw new AtollError(
        'STORE_FULL',
        `${file} cannot be written: the disk is full. Nothing that was acknowledged is lost; make room, and start again`,
        { cause: error },
      )
    const folder = [next, file].find(isFolder)
    if (folder !== undefined)
      throw new AtollError(
        'DATA_UNUSABLE',
        `${file} cannot be written: ${folder} is a folder. Move it away, and start again`,
        { cause: error },
      )
    throw error
  }
}

/**
 * What is left of a note that was not written whole. What cannot be removed stays: why it was not written is the error
 * to tell.
 */
function removeCutOff(next: string): void {
  try {
    rmSync(next, { force: true })
  } catch {
    // the next one that writes this note says what stands in its way
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** A file may get its name on disk before what is in it: after a loss of power it would be there, and empty. */
function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, 'w', FILE_MODE)
  try {
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Takes what there is beside a database, too, if it is there. */
export function keepDatabasePrivate(file: string): void {
  keepFilePrivate(file)
  for (const suffix of ['-wal', '-shm', '-journal']) takeFromOthers(file + suffix)
}

/**
 * Removes the access of other accounts to a folder, unless there are things in it that are not Atoll's: then it is
 * somebody's folder for other things as well, and only what we keep there is ours to close.
 */
export function keepFolderPrivate(path: string): void {
  if (readdirSync(path).every((name) => ownFile(name) !== undefined)) takeFromOthers(path)
}

/** The first thing of a data folder that others may open, with its mode; undefined if there is none. */
export function openToOthers(path: string): { readonly path: string; readonly mode: string } | undefined {
  if (process.platform === 'win32') return undefined
  const all = ['.', ...readdirSync(path).filter((name) => ownFile(name) !== undefined)].map((name) => join(path, name))
  for (const one of all) {
    const mode = statSync(one, { throwIfNoEntry: false })?.mode ?? 0
    if ((mode & OTHERS) !== 0) return { path: one, mode: (mode & 0o777).toString(8).padStart(4, '0') }
  }
  return undefined
}

/** What belongs to another account stays as it is: only that may change it, and the doctor says so. */
function takeFromOthers(path: string): 'nothing' | 'there' {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) return 'nothing'
  if ((found.mode & OTHERS) === 0 || process.platform === 'win32') return 'there' // there, modes say little
  try {
    chmodSync(path, found.mode & 0o700)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && /^(EPERM|EROFS|EACCES|ENOTSUP)$/.test(String(error.code))))
      throw error
  }
  return 'there'
}

const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700
const OTHERS = 0o077

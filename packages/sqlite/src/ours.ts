import { closeSync, openSync, readSync } from 'node:fs'

/** Whether a file is a database of Atoll's, whatever it is called and whoever made it: every application id of ours begins with the bytes of `At`. */
export function isAtollDatabase(file: string): boolean {
  const header = Buffer.alloc(HEADER_BYTES)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, HEADER_BYTES, 0)
  } finally {
    closeSync(descriptor)
  }
  return header.toString('latin1', 0, MAGIC.length) === MAGIC && header.toString('latin1', APPLICATION_ID, APPLICATION_ID + 2) === 'At'
}

// Of SQLite's file format.
const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'
const APPLICATION_ID = 68

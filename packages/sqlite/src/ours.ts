import { closeSync, openSync, readSync } from 'node:fs'

/** What Atoll keeps in a data folder, by its name; undefined for what is not ours. */
export function ownFile(name: string): OwnFile | undefined {
  const note = name.endsWith(NEXT) ? name.slice(0, -NEXT.length) : name
  if (/^(lock(-journal|\.pid)?|seeding)$/.test(note)) return { kind: 'guard' }
  if (/^(system\.json|control\.(json|sock))$/.test(note)) return { kind: 'note' }
  const [, database] = /^([a-z][a-z0-9.-]*)\.db(?:-wal|-shm|-journal)?$/.exec(name) ?? []
  return database === undefined ? undefined : { kind: 'database', database }
}

/**
 * `guard`: who has the folder, and that it is being emptied; both last longer than what is deleted. `note`: what runs
 * in it. `database`: a file of that database, by its name alone: any program may call one so.
 */
export type OwnFile = { readonly kind: 'guard' | 'note' } | { readonly kind: 'database'; readonly database: string }

/** Behind the name of a small file: what is being written, and takes its place once it is whole. */
export const NEXT = '.next'

/**
 * Whether a file is a database of Atoll's, whatever it is called and whoever made it: every application id of ours
 * begins with the bytes of `At`.
 */
export function isAtollDatabase(file: string): boolean {
  const header = Buffer.alloc(HEADER_BYTES)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, HEADER_BYTES, 0)
  } finally {
    closeSync(descriptor)
  }
  return (
    header.toString('latin1', 0, MAGIC.length) === MAGIC &&
    header.toString('latin1', APPLICATION_ID, APPLICATION_ID + 2) === 'At'
  )
}

// Of SQLite's file format.
const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'
const APPLICATION_ID = 68

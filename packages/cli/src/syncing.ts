import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Makes durable which files are in a folder. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return // keeps that by itself, and opens no folders
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** A program of PostgreSQL for its users: of the newest version in /usr/lib/postgresql, or from PATH. */
export function programOf(name: 'pg_dump' | 'psql'): string {
  const root = '/usr/lib/postgresql'
  const folders = existsSync(root) ? readdirSync(root).map((version) => join(root, version, 'bin')) : []
  const found = folders
    .filter((folder) => existsSync(join(folder, name)))
    .sort((left, right) => right.localeCompare(left, 'en', { numeric: true }))
  return found[0] === undefined ? name : join(found[0], name)
}

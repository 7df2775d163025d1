import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import { openPool } from '@atoll/postgres'
import { until } from './postgres-world.ts'

/** A PostgreSQL server of a test's own, to be killed. */
export interface PostgresServer {
  readonly url: string
  /** SIGKILL, to all of it. */
  kill(): Promise<void>
  /** Starts it again on the same data; resolves when it answers. */
  start(): Promise<void>
  /** Kills it and deletes its data. */
  dispose(): Promise<void>
}

export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-postgres-'))
  const data = join(folder, 'data')
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {} // it refuses to run as root
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  execFileSync(programOf('initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { ...user, stdio: 'ignore', env: {} })
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  let child: ChildProcess | undefined

  const server: PostgresServer = {
    url,
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL') // its children end when they notice
      await once(child, 'exit')
    },
    async start() {
      await until('PostgreSQL to take connections', async () => {
        // Until the children of a killed one have ended, it refuses to start beside them.
        if (!child || child.exitCode !== null || child.signalCode !== null) {
          child = spawn(programOf('postgres'), ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='], { ...user, stdio: 'ignore', env: {} })
        }
        return answers(url)
      })
    },
    async dispose() {
      await server.kill()
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }) // its last children may still be at it
    },
  }
  await server.start()
  return server
}

/** A program of PostgreSQL, of the newest version that is installed. */
export function programOf(name: 'initdb' | 'postgres' | 'pg_dump' | 'psql'): string {
  const root = '/usr/lib/postgresql'
  const [newest] = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return newest === undefined ? name : join(root, newest, 'bin', name)
}

async function answers(url: string): Promise<boolean> {
  const pool = openPool({ url, host: createNodeHost(), applicationName: 'tests', connectionsMax: 1 })
  const answered = await pool.query('SELECT').then(
    () => true,
    () => false,
  )
  await pool.close()
  return answered
}

function idOf(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('a server on a port has an address with a port')
  return address.port
}

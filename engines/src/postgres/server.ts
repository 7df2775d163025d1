import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { findPorts } from '../run/ports.ts'

/** A PostgreSQL server of a test's own, to be killed. */
export interface Server {
  readonly host: string
  readonly port: number
  readonly url: string
  /** SIGKILL to the postmaster; its children end by themselves. Resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again on the same data, with these settings; resolves when it answers. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>
  /** Of a standby: it is a primary from now on. */
  promote(): void
  /** Kills it and deletes its data. */
  dispose(): Promise<void>
}

/** Starts one with empty data, or a standby that follows a `primary`. */
export async function startServer({ primary }: { primary?: Server } = {}): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-postgres-'))
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {} // it refuses to run as root
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  if (primary) run('pg_basebackup', ['-D', data, '-R', '-X', 'stream', '-c', 'fast', '-d', primary.url])
  else {
    const password = join(folder, 'password')
    writeFileSync(password, 'atoll')
    run('initdb', [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${password}`,
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ])
  }
  const port = await findPorts(1)
  const url = `postgres://postgres:atoll@127.0.0.1:${port}/postgres`
  let child: ChildProcess | undefined

  function run(program: string, args: readonly string[]): void {
    execFileSync(join(programs(), program), args, { ...user, stdio: 'ignore' })
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
    child = undefined
  }

  async function start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const options = Object.entries({ listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }).flatMap(
      ([name, value]) => ['-c', `${name}=${value}`],
    )
    const end = performance.now() + 60_000
    do {
      if (performance.now() > end) throw new Error('PostgreSQL takes no connections')
      // Until the children of a killed one have ended, it refuses to start beside them.
      if (!child || child.exitCode !== null)
        child = spawn(join(programs(), 'postgres'), ['-D', data, '-p', String(port), ...options], {
          ...user,
          stdio: 'ignore',
        })
      await new Promise((resolve) => void setTimeout(resolve, 20))
    } while (spawnSync(join(programs(), 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status !== 0)
  }

  await start()
  return {
    host: '127.0.0.1',
    port,
    url,
    kill,
    start,
    promote: () => run('pg_ctl', ['promote', '-w', '-D', data]),
    async dispose() {
      await kill()
      // its last children may still be at it
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}

function programs(): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions[0] === undefined ? '' : join(root, versions[0], 'bin')
}

function idOf(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
}

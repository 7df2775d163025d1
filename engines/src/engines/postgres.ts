import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AtollError } from '@atoll/host'
import type { Engine, Place, User } from '../engine.ts'
import { findProgram, runCommand } from '../install/command.ts'
import { installPackage } from '../install/debian.ts'
import { HOST } from '../run/ports.ts'

const ADMINISTRATOR = 'postgres'
const PASSWORD = 'atoll'

/** PostgreSQL that answers after its log is synced. */
export const postgres: Engine = {
  name: 'postgres',
  port: 21_432,
  ports: 1,
  // Ends connections instead of waiting for them.
  stopSignal: 'SIGINT',

  async install() {
    const programs = findPrograms() ?? (await installPackage('postgresql'), findPrograms())
    if (!programs)
      throw new AtollError(
        'UNAVAILABLE',
        'PostgreSQL is installed, but neither in /usr/lib/postgresql nor in PATH; put the folder of `postgres` and `initdb` into PATH',
      )
    const user = process.getuid?.() === 0 ? await findUser() : undefined
    return {
      prepare: (place) => prepare(place, programs, user),
      command: ({ folder, port }) => ({
        file: join(programs, 'postgres'),
        args: [
          '-D',
          join(folder, 'data'),
          '-p',
          String(port),
          ...[`listen_addresses=${HOST}`, 'unix_socket_directories=', ...settings].flatMap((setting) => [
            '-c',
            setting,
          ]),
        ],
        ...(user && { user }),
      }),
    }
  },

  url: (port) => `postgres://${ADMINISTRATOR}:${PASSWORD}@${HOST}:${port}/postgres`,

  // Asked to begin a session it wants a password, which it does not before it has recovered.
  probe: {
    send: startup({ user: ADMINISTRATOR, database: 'postgres' }),
    accepts: (answer) => answer.subarray(0, 1).toString('latin1') === 'R',
  },
}

/** As in compose.yaml. */
export const settings = ['fsync=on', 'synchronous_commit=on', 'full_page_writes=on', 'max_connections=300'] as const

/** The folder of `postgres` and `initdb`: the newest of Debian's, or where PATH says. */
function findPrograms(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root)
    ? readdirSync(root).filter((name) => existsSync(join(root, name, 'bin/postgres')))
    : []
  const newest = versions.sort((left, right) => Number(right) - Number(left))[0]
  if (newest !== undefined) return join(root, newest, 'bin')
  const found = findProgram('postgres')
  return found && dirname(found)
}

/** Whom its package made for it: it refuses to run as root. */
async function findUser(): Promise<User> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (option) =>
      Number(await runCommand('id', [option, ADMINISTRATOR], { boundMs: COMMAND_MS })),
    ),
  )
  return { uid: uid!, gid: gid! } // one each
}

async function prepare({ folder }: Place, programs: string, user: User | undefined): Promise<void> {
  const data = join(folder, 'data')
  if (existsSync(data)) return
  // Moved when it is whole: initdb may be interrupted.
  const partial = join(folder, 'data.partial')
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial)
  if (user) {
    await chmod(folder, 0o755)
    await chown(partial, user.uid, user.gid)
    await assertReachable(partial, user)
  }
  const password = join(folder, 'password')
  await writeFile(password, PASSWORD)
  const args = [
    '-D',
    partial,
    '-U',
    ADMINISTRATOR,
    '-A',
    'scram-sha-256',
    `--pwfile=${password}`,
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
  ]
  await runCommand(join(programs, 'initdb'), args, { boundMs: COMMAND_MS, ...(user && { user }) })
  await rm(password)
  await rename(partial, data)
}

async function assertReachable(folder: string, user: User): Promise<void> {
  try {
    await runCommand('test', ['-w', folder], { user, boundMs: COMMAND_MS })
  } catch (error) {
    throw new AtollError(
      'UNSUPPORTED',
      `PostgreSQL cannot run as root, and its user ${ADMINISTRATOR} may not enter ${folder}; choose another folder (--data), or open those above it to others`,
      { cause: error },
    )
  }
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(`\0\x03\0\0${Object.entries(parameters).flat().join('\0')}\0\0`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([length, body])
}

const COMMAND_MS = 60_000

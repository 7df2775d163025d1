import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Logger } from '@atoll/host'
import { pause } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier, type Pool } from '@atoll/postgres'
import { engineUrl } from '@atoll/engines'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { createNetwork } from '../network.ts'
import { startOwnEngine } from '../own-engine.ts'
import { createPostgresLog, defaultLimits, type PostgresLogLimits } from '../../src/postgres.ts'

export const host = createNodeHost()

/** A log of a system of its own, and a way around it. */
export interface PostgresWorld {
  readonly url: string
  readonly system: string
  readonly schema: string
  /** For looking and for mischief, past the log. */
  readonly pool: Pool
  /** Another log of the same system, as another process would open it. */
  open(limits?: Partial<PostgresLogLimits>, way?: { url?: string; logger?: Logger }): Promise<Log>
  /** Closes every log, and drops what they left. */
  dispose(): Promise<void>
}

export function createPostgresWorld(
  limits: Partial<PostgresLogLimits> = {},
  url: string = engineUrl('postgres'),
): PostgresWorld {
  const system = `t${randomBytes(6).toString('hex')}`
  const schema = `atoll_log_${system}`
  const pool = openPool({ url, host, applicationName: 'atoll test', connectionsMax: 20 })
  const opened: Log[] = []
  return {
    url,
    system,
    schema,
    pool,
    async open(others = {}, way = {}) {
      const log = await createPostgresLog({ url, system, host, limits: { ...limits, ...others }, ...way })
      opened.push(log)
      return log
    },
    async dispose() {
      await Promise.all(opened.map((log) => log.close()))
      await pool.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(schema)} CASCADE`)
      await pool.close()
    },
  }
}

/** Runs `body` in a world of its own. */
export async function withPostgres(
  limits: Partial<PostgresLogLimits>,
  body: (world: PostgresWorld) => Promise<void>,
): Promise<void> {
  const world = createPostgresWorld(limits)
  try {
    await body(world)
  } finally {
    await world.dispose()
  }
}

/**
 * Runs statements, and returns when it is done: in a process of its own, because the fault must be there when the
 * function returns.
 */
function runNow(url: string, statements: readonly string[]): void {
  const program = `
    import { createNodeHost } from '@atoll/host/node'
    import { openPool } from '@atoll/postgres'
    const pool = openPool({ url: process.argv[1], host: createNodeHost(), applicationName: 'atoll test', connectionsMax: 1 })
    for (const statement of process.argv.slice(2)) await pool.query(statement)
    await pool.close()`
  execFileSync(process.execPath, ['--input-type=module', '--eval', program, url, ...statements], {
    cwd: import.meta.dirname,
  })
}

/** Worlds of PostgreSQL logs, each a schema of its own. */
export function createPostgresHarness(limits: Partial<PostgresLogLimits> = {}): LogHarness {
  return {
    capabilities: {
      checksAppends: true,
      persistent: true,
      canBeDurable: true,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    faults: [
      'stopWrites',
      'crash',
      'lose',
      'share',
      'stranger',
      'cut',
      'silence',
      'loseAnswers',
      'resetAfter',
      'restart',
      'impostor',
    ],
    pause,
    async open(fault) {
      const own = fault === 'restart' ? await startOwnEngine('postgres') : undefined
      const world = createPostgresWorld(limits, own?.engine.url)
      const other = createPostgresWorld(limits, own?.engine.url)
      const network = await createNetwork(world.url, 5432)
      const open = (): Promise<Log> => world.open({}, { url: network.url })
      const records = `${quoteIdentifier(world.schema)}.records`
      return {
        log: await open(),
        reopen: open,
        ...network,
        restart: () => own!.engine.restart(), // of the world that a test of it gets
        async impostor() {
          const by = new URL(world.url)
          by.password = 'not-this'
          return { log: await world.open({}, { url: by.href }), secret: 'not-this' }
        },
        // What a killed process leaves behind is what the server has of it; the first log is simply not asked any more.
        crash: open,
        share: () => world.open(),
        stranger: () => other.open(),
        stopWrites() {
          const full = `${quoteIdentifier(world.schema)}.full_disk`
          runNow(world.url, [
            `CREATE FUNCTION ${full}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'`,
            `CREATE TRIGGER full_disk BEFORE INSERT ON ${records} FOR EACH STATEMENT EXECUTE FUNCTION ${full}()`,
          ])
          return () => runNow(world.url, [`DROP FUNCTION ${full} CASCADE`])
        },
        async lose(source) {
          await world.pool.query(`DELETE FROM ${records} WHERE source = $1`, [source])
        },
        async dispose() {
          await world.dispose()
          await other.dispose()
          await network.close()
          await own?.dispose()
        },
      }
    },
  }
}

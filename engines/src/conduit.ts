import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { engines } from './engines.ts'
import { toNames, toText } from './names.ts'
import { oneNode } from './one-node.ts'
import { startEngine } from './start.ts'
import { variableOf, type EngineName } from './url.ts'

// `npm run start:engines`: Conduit as separate processes on PostgreSQL and an engine for its log, until Ctrl-C. Data
// stay in .atoll/conduit-on-<log>: stores belong to the log that they have written, and go on with no other.

const usage = `npm run start:engines -- [--log nats|postgres|kafka|rabbitmq|redis] [--instances <number>] [--port <number>]`

const root = fileURLToPath(new URL('../..', import.meta.url))

try {
  process.exitCode = await main()
} catch (error) {
  console.error(toText(error))
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      log: { type: 'string', default: 'nats' },
      instances: { type: 'string', default: '1' },
      port: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const [log] = toNames([values.log]) as [EngineName] // one name in, one out
  const data = join(root, '.atoll', `conduit-on-${log}`)
  const running = await Promise.all(
    [...new Set<EngineName>(['postgres', log])].map((name) =>
      startEngine(name, { folder: join(data, name), port: engines[name].port }),
    ),
  )
  const urls = new Map(running.map(({ name, url }) => [name, url]))
  for (const [name, url] of urls) console.log(`${name} at ${url}`)
  const folder = relative(process.cwd(), data)
  console.log(`data in ${folder}; delete it to begin anew`)
  console.log(
    `to look after it, from another terminal: npm run atoll -- ledger --data ${folder} (or map, events, dead-letters, replay)`,
  )
  const {
    accept,
    log: { replicas },
  } = oneNode[log]
  if (accept.length > 0) console.log(`accepted by name: ${accept.join(', ')}; \`atoll doctor\` says what that means`)
  const told = {
    ATOLL_STORE_URL: urls.get('postgres'),
    ATOLL_LOG_URL: urls.get(log),
    ...(accept.length > 0 && { ATOLL_ACCEPT: accept.join() }),
    ...(replicas !== undefined && { ATOLL_LOG_REPLICAS: String(replicas) }),
  }
  const env = {
    ...process.env,
    ...told,
    ...Object.fromEntries([...urls].map(([name, url]) => [variableOf(name), url])),
  }
  const args = [
    'packages/cli/src/main.ts',
    'up',
    'apps/conduit/src/system.ts',
    '--data',
    data,
    '--instances',
    values.instances,
    ...(values.port === undefined ? [] : ['--port', values.port]),
  ]
  // In a group of its own, so that Ctrl-C comes to it once: from us.
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  })
  const pass = (signal: NodeJS.Signals): boolean => child.kill(signal)
  process.on('SIGINT', pass).on('SIGTERM', pass)
  const [code] = (await once(child, 'close')) as [number | null]
  await Promise.all(running.map((engine) => engine.stop()))
  return code ?? 1
}

import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { AtollError } from '@atoll/host'
import { hasDocker, startContainers, stopContainers } from './docker.ts'
import type { RunningEngine } from './engine.ts'
import { engines } from './engines.ts'
import { toNames, toText } from './names.ts'
import { assertFree } from './run/ports.ts'
import { startEngine } from './start.ts'
import { engineNames, variableOf, type EngineName } from './url.ts'

// `npm run engines`: the engines for development, until Ctrl-C.

const usage = `npm run engines -- [${engineNames.join('] [')}]     all without a name
  --data <folder>     where programs keep their data; .atoll/engines without it
  --fresh             begins with empty data
  --no-docker         programs of this machine, also where there is a Docker engine`

/** How often it is looked whether an engine has ended by itself. */
const WATCH_MS = 500

const root = fileURLToPath(new URL('../..', import.meta.url))

try {
  process.exitCode = await main()
} catch (error) {
  console.error(toText(error))
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: {
      data: { type: 'string' },
      fresh: { type: 'boolean', default: false },
      docker: { type: 'boolean', default: true },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const names = positionals.length > 0 ? toNames([...new Set(positionals)]) : engineNames
  if (values.docker && (await hasDocker())) {
    if (values.data !== undefined)
      throw new AtollError(
        'COMMAND_USAGE',
        'in containers the data lie in volumes of Docker; leave out --data, or add --no-docker',
      )
    return inContainers(names, values)
  }
  return asPrograms(names, { folder: resolve(values.data ?? join(root, '.atoll/engines')), fresh: values.fresh })
}

async function inContainers(names: readonly EngineName[], { fresh }: { fresh: boolean }): Promise<number> {
  show(await startContainers(names, { fresh }), 'volumes of Docker')
  await interrupted()
  await stopContainers(names)
  return 0
}

async function asPrograms(
  names: readonly EngineName[],
  { folder, fresh }: { folder: string; fresh: boolean },
): Promise<number> {
  const starts = await Promise.allSettled(
    names.map(async (name) => {
      const { port, ports } = engines[name]
      await assertFree(name, port, ports) // else the data may be of one that runs
      if (fresh) await rm(join(folder, name), { recursive: true, force: true })
      return startEngine(name, { folder: join(folder, name), port })
    }),
  )
  const running = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const errors = starts.flatMap((start) => (start.status === 'rejected' ? [toText(start.reason)] : []))
  for (const error of errors) console.error(error)
  if (errors.length === 0) {
    show(new Map(running.map(({ name, url }) => [name, url])), folder)
    const watch = watchForEnds(running)
    await interrupted()
    clearInterval(watch)
  }
  await Promise.all(running.map((engine) => engine.stop()))
  return errors.length === 0 ? 0 : 1
}

function show(urls: ReadonlyMap<EngineName, string>, data: string): void {
  const width = Math.max(...[...urls.keys()].map((name) => name.length))
  for (const [name, url] of urls) console.log(`${name.padEnd(width)}  ${url}`)
  console.log(`\nFor tests and programs:\n`)
  for (const [name, url] of urls) console.log(`export ${variableOf(name)}='${url}'`)
  console.log(`\nThe data lie in ${data} and stay there. Ctrl-C stops the engines.`)
}

/** Says when an engine ends by itself. It also keeps us here. */
function watchForEnds(running: readonly RunningEngine[]): NodeJS.Timeout {
  const told = new Set<RunningEngine>()
  return setInterval(() => {
    for (const engine of running) {
      if (engine.runs || told.has(engine)) continue
      told.add(engine)
      console.error(
        `${engine.name} has ended by itself; ${join(engine.folder, 'engine.log')} says why. The others go on.`,
      )
    }
  }, WATCH_MS)
}

/** Resolves at the first Ctrl-C; the second does not wait for an orderly end. */
async function interrupted(): Promise<void> {
  const keep = setInterval(() => {}, 60_000) // a listener for signals does not keep us here
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  clearInterval(keep)
  console.log('\nstopping …')
}

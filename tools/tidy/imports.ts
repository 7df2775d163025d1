import { posix } from 'node:path'
import { importsOf, isTest, lineAt, type Finding, type Import, type SourceFile } from './source-file.ts'

/** Which package may import which: a package sees those before it. */
const layers: Readonly<Record<string, readonly string[]>> = {
  host: [],
  sqlite: ['host'],
  postgres: ['host'],
  log: ['host', 'sqlite', 'postgres'],
  store: ['host', 'sqlite', 'postgres'],
  atoll: ['host', 'log', 'store'],
  gateway: ['host', 'atoll'],
  calls: ['host', 'atoll'],
  testkit: ['host', 'log', 'store', 'atoll', 'gateway'],
  cli: ['host', 'sqlite', 'postgres', 'log', 'store', 'atoll', 'gateway', 'calls'],
}

/** Client libraries, and the one place that may import each. */
const owners: Readonly<Record<string, RegExp>> = {
  'better-sqlite3': /^(packages\/sqlite|bench)\//,
  pg: /^(packages\/postgres|bench|engines)\//,
  '@nats-io/jetstream': /^(packages\/log\/src\/drivers\/nats|bench|engines)\//,
  '@nats-io/transport-node': /^(packages\/log\/src\/drivers\/nats|bench|engines)\//,
  '@platformatic/kafka': /^(packages\/log\/(src\/drivers|test)\/kafka|bench|engines)\//,
  redis: /^(packages\/log\/(src\/drivers|test)\/redis|bench|engines)\//,
  amqplib: /^(packages\/log\/(src\/drivers|test)\/rabbitmq|bench|engines)\//,
  'find-my-way': /^packages\/gateway\//,
  cockatiel: /^packages\/calls\//,
  undici: /^packages\/calls\//,
  commander: /^packages\/cli\//,
  pino: /^packages\/cli\//,
  jose: /^apps\//,
  '@node-rs/argon2': /^apps\//,
  fastify: /^bench\//,
  autocannon: /^bench\//,
  'pg-copy-streams': /^bench\//,
}

/** The folders of the runtime, from below: each knows those before it. What lies beside them is for all. */
const runtimeFolders = ['relay', 'handling', 'subscription', 'command', 'service', 'admin']

/**
 * What packages/atoll may not touch: the runtime has no time, chance or I/O of its own, so that it can run under a
 * seed.
 */
const outside = /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|crypto\.)/g

/** Import rules: between packages, for client libraries, and for what must stay deterministic. */
export function checkImports(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => path.endsWith('.ts'))
    .flatMap((file) => [...importsOf(file).flatMap((found) => checkImport(file, found)), ...checkOutside(file)])
}

function checkImport({ path }: SourceFile, { specifier, offers, line }: Import): Finding[] {
  const message = specifier.startsWith('.')
    ? againstFolders(path, specifier)
    : (againstOffers(path, specifier, offers) ?? againstPackages(path, specifier))
  return message === undefined ? [] : [{ path, line, message }]
}

/** What is wrong with an import of another file, if anything is. */
function againstFolders(path: string, specifier: string): string | undefined {
  const own = packageOf(path)
  const target = posix.normalize(posix.join(posix.dirname(path), specifier))
  if (own !== undefined && packageOf(target) !== own)
    return `imports ${specifier} across packages; import a public entry of that package by its name`
  const [above, below] = [path, target].map((one) => runtimeFolders.indexOf(runtimeFolderOf(one) ?? '')) as [
    number,
    number,
  ]
  if (above >= 0 && below > above && !isTest(path))
    return `imports ${specifier}, which stands above it; the order of the runtime's folders is ${runtimeFolders.join(', ')}`
  const [driver, sibling] = [driverOf(path), driverOf(target)]
  if (driver !== undefined && sibling !== undefined && driver !== sibling)
    return `imports ${specifier}, which is of another driver; lift what both need to drivers/shared/`
  return undefined
}

/** The same where a module offers what it has from another package: then one thing has two homes. */
function againstOffers(path: string, specifier: string, offers: boolean): string | undefined {
  if (!offers || packageOf(path) === undefined || isTest(path) || path === 'packages/atoll/src/index.ts')
    return undefined
  return `offers what ${specifier} offers; whoever needs it imports it from there`
}

/** The same of an import of a package. */
function againstPackages(path: string, specifier: string): string | undefined {
  const own = packageOf(path)
  if (specifier.startsWith('node:'))
    return own !== 'atoll' || isTest(path)
      ? undefined
      : `packages/atoll has no I/O of its own and imports ${specifier}; ask for it through a port`
  const pattern = /^(?:@atoll\/)?(host|sqlite|postgres|log|store|atoll|gateway|calls|testkit|cli)(?:\/|$)/
  const target = pattern.exec(specifier)?.[1]
  const seen = own === undefined ? undefined : layers[own]
  if (target !== undefined && seen && target !== own && !seen.includes(target) && !isTest(path))
    return `packages/${own} may not import ${specifier}; it may see ${seen.join(', ') || 'no other package'}`
  const library = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!
  const owner = owners[library]
  return owner && !owner.test(path)
    ? `${library} is imported in one place only (${owner.source}); use what that place offers`
    : undefined
}

function checkOutside({ path, text }: SourceFile): Finding[] {
  if (packageOf(path) !== 'atoll' || isTest(path)) return []
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, (comment) => comment.replaceAll(/[^\n]/g, ' '))
  return [...code.matchAll(outside)].map((match) => ({
    path,
    line: lineAt(code, match.index),
    message: `${match[1]} is the world outside; use the Host port`,
  }))
}

function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1]
}

function runtimeFolderOf(path: string): string | undefined {
  return /^packages\/atoll\/src\/runtime\/([^/]+)\//.exec(path)?.[1]
}

/** `log/kafka`; also of a driver's tests. What lies beside the folders of drivers is for all of them. */
function driverOf(path: string): string | undefined {
  const [, of, driver] = /^packages\/([^/]+)\/src\/drivers\/([^/]+)\//.exec(path) ?? []
  return driver === undefined || driver === 'shared' ? undefined : `${of}/${driver}`
}

#!/usr/bin/env node
import { AtollError, type ErrorCode } from '@atoll/host'
import { Command, CommanderError } from 'commander'
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { discard, events, ledger, listDeadLetters, redrive, replay, showDeadLetter } from './commands/ask.ts'
import { config } from './commands/config.ts'
import { dev } from './commands/dev.ts'
import { doctor } from './commands/doctor.ts'
import { map } from './commands/map.ts'
import { registry } from './commands/registry.ts'
import { start } from './commands/start.ts'
import { up } from './commands/up.ts'
import { failureText } from './failure.ts'
import { flushStandardError, standardError } from './logging/standard-error.ts'
import { findModule, findPlace } from './place.ts'
import { endOnUncaught } from './strays.ts'

const DATA = ['--data <folder>', 'data folder of the system (default: the only one below data/)'] as const
const CONFIG = [
  '--config <file>',
  'configuration of a system that many processes share (default: atoll.json, if there is one)',
] as const
const TRUST = [
  '--trust-every-local-account',
  'go without a secret, on loopback: every program on this machine may then act in the name of every user',
] as const
const JSON_LINES = ['--json', 'one JSON object per line on standard output'] as const

const program = new Command('atoll')
  .description('Systems of independent services that share nothing but events.')
  .version(ownVersion())
  .exitOverride()
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    'after',
    '\nTo look after a system, commands ask the one that runs in the data folder; if none runs, they look into the folder itself (replay,\nredrive and discard start the system for as long as they take). Where the configuration (--config, atoll.json, the environment) names engines, they\nlook into those, and replay, redrive and discard go to the instance in question.',
  )

program
  .command('dev')
  .description('run a whole system in this process')
  .argument('[module]', 'module whose default export is the system (default: `system` in the configuration)')
  .option('--data <folder>', 'where the data lies (default: the folder of store.url, or data/<name of the system>)')
  .option('--port <number>', 'port of the gateway; 0 takes a free one (default: PORT, or 4000)')
  .option('--fresh', 'delete the data first')
  .option('--verbose', 'log more than warnings')
  .option('--json', 'the ready line as a JSON object')
  .addHelpText(
    'after',
    '\nCtrl-C drains and stops. Logs go to standard error, one JSON object per line. Of atoll.json, if there is one, and of the environment it takes what\nholds for one process (system, gateway.port, logging.level, loopStallMsMax, runtime.…, a folder as store.url), and says what it does not.\n\nExample: atoll dev src/system.ts --port 4000',
  )
  .action(dev)

program
  .command('start')
  .description('run services of a system, its gateway, or both, in this process, and others elsewhere')
  .argument('[module]', 'module whose default export is the system (default: `system` in the configuration)')
  .option('--service <name...>', 'services to run (default: all, unless only the gateway is wanted)')
  .option('--gateway', 'run the gateway')
  .option(
    '--config <file>',
    'configuration (default: atoll.json, if there is one); the environment goes before it, see `atoll config`',
  )
  .option('--instance <name>', 'names this process; default: host name, process id and chance')
  .option('--port <number>', 'port of the gateway (default: PORT, or 4000)')
  .option(
    '--calls-port <number>',
    'port at which others call the services that run here (default: 4100, or a free one with a registry)',
  )
  .option(...TRUST)
  .option('--print-config', 'say what is in force, and start nothing')
  .option('--json', 'the ready line as a JSON object')
  .addHelpText(
    'after',
    '\nCtrl-C and SIGTERM drain. Exit codes: 0 drained, 1 failed, 2 not understood or configured, 3 the time to drain ran out, 130 told twice.\nIt refuses to start without ATOLL_CALLS_SECRET (calls.secret), the same for every process of the system; `openssl rand -hex 32` makes one.\n\nExample: atoll start src/system.ts --service articles --service profiles --config shop.json',
  )
  .action(start)

program
  .command('up')
  .description('run a process for each service and one for the gateway, on this machine')
  .argument('[module]', 'module whose default export is the system (default: `system` in the configuration)')
  .option(
    '--config <file>',
    'configuration (default: atoll.json, if there is one); needs engines that processes can share',
  )
  .option('--port <number>', 'port of the gateway (default: PORT, or 4000)')
  .option('--instances <number>', 'processes for each service', '1')
  .option(
    '--data <folder>',
    'where other commands find it; stores and log are on the engines (default: data/<name of the system>)',
  )
  .option('--json', 'the ready line as a JSON object')
  .addHelpText(
    'after',
    '\nCtrl-C drains and stops them all. A process that ends is started again, unless it says that it is configured wrongly (exit code 2).\n\nExample: ATOLL_STORE_URL=postgres://… ATOLL_LOG_URL=nats://… atoll up src/system.ts --instances 2',
  )
  .action(up)

program
  .command('doctor')
  .description("read the engines' settings, and say what they mean for each promise")
  .argument('[module]', 'module whose default export is the system (default: `system` in the configuration)')
  .option('--config <file>', 'configuration (default: atoll.json, if there is one)')
  .option(
    '--data <folder>',
    'instead: the data folder of a system that runs, or ran, in one process (default, where no system is named: the only one below data/)',
  )
  .option('--json', 'the diagnosis as one JSON object')
  .addHelpText(
    'after',
    '\nExit code 1 if a setting breaks a promise and was not accepted by name (accept, ATOLL_ACCEPT): a start would be refused.\n\nExample: atoll doctor src/system.ts --config shop.json',
  )
  .action(doctor)

program
  .command('registry')
  .description('run the place where instances make themselves known (discovery.registry)')
  .option('--config <file>', 'configuration; calls.secret is taken from it, or from ATOLL_CALLS_SECRET')
  .option('--host <address>', 'where to listen', '127.0.0.1')
  .option('--port <number>', 'port; 0 takes a free one', '4200')
  .option(...TRUST)
  .option('--json', 'the ready line as a JSON object')
  .addHelpText(
    'after',
    '\nIts state is soft: when it is gone, instances go on reaching each other, and a new one learns of all within seconds.\nIt refuses to start without a secret, which instances send along: `openssl rand -hex 32` makes one.\n\nExample: ATOLL_CALLS_SECRET=… atoll registry --port 4200',
  )
  .action(registry)

program
  .command('config')
  .description('show every setting, its value, where that comes from, and its variable; secrets are masked')
  .option('--config <file>', 'configuration (default: atoll.json, if there is one)')
  .option(...JSON_LINES)
  .addHelpText('after', '\nExample: ATOLL_CALLS_PORT=4101 atoll config --config shop.json')
  .action(config)

program
  .command('map')
  .description('show the flow of events')
  .argument('[module]', 'module of the system (default: the one that last ran in the data folder)')
  .option(...DATA)
  .option(...CONFIG)
  .option('--svg <file>', 'draw it into a file')
  .option('--json', 'the flow as one JSON object')
  .addHelpText('after', '\nExample: atoll map src/system.ts --svg flow.svg')
  .action((module: string | undefined, options) => map(module ?? findModule(options), options))

program
  .command('events')
  .description('show the events of the log, oldest first')
  .option(...DATA)
  .option(...CONFIG)
  .option('--type <name>', 'only events of this name')
  .option('--key <key>', 'only events of this key')
  .option('--source <service>', 'only events of this service')
  .option('--follow', 'go on as they come')
  .option(...JSON_LINES)
  .addHelpText('after', '\nExample: atoll events --type article.published --follow')
  .action((options) => events({ ...options, place: findPlace(options) }))

program
  .command('replay')
  .description('rebuild a projection from the log, beside the live one, and swap it in')
  .argument('<subscription>', 'such as reading.pages')
  .option(...DATA)
  .option(...CONFIG)
  .option(...JSON_LINES)
  .addHelpText('after', '\nExample: atoll replay reading.pages')
  .action((subscription: string, options) => replay(subscription, { ...options, place: findPlace(options) }))

const deadLetters = program
  .command('dead-letters')
  .description('events whose handlers failed for good, and what waits behind them')
deadLetters
  .command('list', { isDefault: true })
  .description('list them')
  .option(...DATA)
  .option(...CONFIG)
  .option('--subscription <name>', 'only those of one subscription')
  .option('--discarded', 'those that were discarded instead: by whom, when and why')
  .option(...JSON_LINES)
  .action((options) => listDeadLetters({ ...options, place: findPlace(options) }))
deadLetters
  .command('show')
  .description('show one, with its error and its data')
  .argument('<id>', 'as the list gives it')
  .option(...DATA)
  .option(...CONFIG)
  .option(...JSON_LINES)
  .action((id: string, options) => showDeadLetter(id, { ...options, place: findPlace(options) }))
deadLetters
  .command('redrive')
  .description('handle them again, each with what waits behind it, in order')
  .argument('[id]', 'only this one')
  .option(...DATA)
  .option(...CONFIG)
  .option('--subscription <name>', 'only those of one subscription')
  .option('--dry-run', 'run the handlers and undo everything')
  .option(...JSON_LINES)
  .addHelpText('after', '\nExample: atoll dead-letters redrive --dry-run')
  .action((id: string | undefined, options) => redrive(id, { ...options, place: findPlace(options) }))

deadLetters
  .command('discard')
  .description('end one without handling it, for good; what waits behind it goes on')
  .argument('[id]', 'the one to discard')
  .requiredOption('--reason <text>', 'why nobody needs its effect; kept, and shown by list --discarded')
  .option('--by <name>', 'who says so (default: the user of this command)')
  .option('--all', 'instead of one: all dead letters of --subscription')
  .option('--subscription <name>', 'the subscription that --all is about')
  .option(...DATA)
  .option(...CONFIG)
  .option(...JSON_LINES)
  .addHelpText(
    'after',
    '\nExample: atoll dead-letters discard orders/payments/3/17 --reason "refunded by hand, ticket 4711"',
  )
  .action((id: string | undefined, options) => discard(id, { ...options, place: findPlace(options) }))

program
  .command('ledger')
  .description('account for every event: published = handled + pending + parked + dead + discarded')
  .option(...DATA)
  .option(...CONFIG)
  .option(...JSON_LINES)
  .addHelpText('after', '\nExit code 1 if a line does not balance.')
  .action((options) => ledger({ ...options, place: findPlace(options) }))

function ownVersion(): string {
  const manifest = findPackageJSON(import.meta.url)! // every package has one
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

/** What no other try would change, as long as nobody mends the command, the configuration or the system. */
const notConfigured: ReadonlySet<ErrorCode> = new Set([
  'COMMAND_USAGE',
  'CONFIG_INVALID',
  'SETTING_UNSAFE',
  'DEFINITION_INVALID',
])

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // With EPIPE, whoever read our output has seen enough. Else some of it is lost; that must be known, and must not end
  // a system at work.
  if (error.code !== 'EPIPE') process.exitCode = 1
})
process.stderr.on('error', () => undefined) // there is nobody left to tell
endOnUncaught()

try {
  await program.parseAsync()
  await flushStandardError()
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? 0 : 2
  else {
    const error = AtollError.from(thrown)
    standardError.push(failureText(error))
    await flushStandardError()
    // What could not be put away must not keep the process: it has failed, and has said so.
    process.exit(notConfigured.has(error.code) ? 2 : 1)
  }
}

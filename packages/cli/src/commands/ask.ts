import {
  isGone,
  type DeadLetter,
  type DiscardedLetter,
  type GoneLetter,
  type LedgerRow,
  type ReplayProgress,
  type RedriveOutcome,
} from 'atoll/runtime'
import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import { userInfo } from 'node:os'
import { ask, type Place } from '../control/client.ts'
import type { ControlRequest } from '../control/protocol.ts'
import { formatTable, tellTable } from '../table.ts'
import { toVisible, toVisibleJson, toVisibleLines, visible } from '../visible.ts'

export interface AskOptions {
  place: Place
  json?: boolean
}

/** `atoll events`. */
export async function events(
  options: AskOptions & { type?: string; key?: string; source?: string; follow?: boolean },
): Promise<void> {
  const { type, key, source, follow } = options
  let count = 0
  for await (const event of items<StoredRecord>(options, { verb: 'events', options: { type, key, source, follow } })) {
    count++
    if (options.json) print(event)
    else
      console.log(
        visible`${new Date(event.at).toISOString()}  ${event.type} v${event.version}  ${event.key}  ${event.source}/${event.partition}/${event.number}  ${event.data}`,
      )
  }
  if (count === 0 && !options.json) console.error('no events match; `atoll map` shows what there can be')
}

/** `atoll ledger`. Exit code 1 if something is not accounted for. */
export async function ledger(options: AskOptions): Promise<void> {
  const rows = await Array.fromAsync(items<LedgerRow>(options, { verb: 'ledger' }))
  if (options.json) for (const row of rows) print(row)
  else {
    const header = ['', 'event', 'subscription', 'published', 'handled', 'pending', 'parked', 'dead', 'discarded', '']
    console.log(
      formatTable(
        header,
        rows.map((row) => [
          row.balanced ? '✓' : '✗',
          row.event,
          row.subscription,
          row.published,
          row.handled,
          row.pending,
          row.parked,
          row.dead,
          row.discarded,
          row.hasNoHandler ? 'no handler any more' : '',
        ]),
      ),
    )
  }
  const unbalanced = rows.filter((row) => !row.balanced)
  if (unbalanced.length === 0) return
  console.error(`${unbalanced.length} of ${rows.length} lines do not balance:`)
  for (const { event, subscription, why } of unbalanced) console.error(visible`✗ ${event} ${subscription}: ${why}`)
  process.exitCode = 1
}

/** `atoll dead-letters list`. */
export async function listDeadLetters(
  options: AskOptions & { subscription?: string; discarded?: boolean },
): Promise<void> {
  if (options.discarded) return listDiscarded(options)
  const letters = items<DeadLetter>(options, { verb: 'dead-letters', subscription: options.subscription })
  if (options.json) return printEach(letters)
  const header = ['id', 'event', 'key', 'tries', 'behind', 'error']
  const count = await tellTable(
    header,
    letters,
    ({ id, event, attempts, parkedBehind, error, hasNoHandler }) => [
      id,
      event.type,
      event.key,
      attempts,
      parkedBehind,
      `${hasNoHandler ? 'no handler any more; ' : ''}${error.code}: ${error.message}`.slice(0, 80),
    ],
    console.log,
  )
  if (count === 0) console.log('no dead letters')
}

/** `atoll dead-letters show`. */
export async function showDeadLetter(id: string, options: AskOptions): Promise<void> {
  const [letter] = await Array.fromAsync(items<DeadLetter>(options, { verb: 'dead-letters', id }))
  if (letter)
    return tellLetter(letter, visible`; ${letter.parkedBehind} later events of its key wait behind it`, options)
  const [discarded] = await Array.fromAsync(items<DiscardedLetter>(options, { verb: 'discarded', id }))
  if (!discarded)
    throw new AtollError('COMMAND_USAGE', `there is no dead letter ${id}; \`atoll dead-letters\` lists what there is`)
  tellLetter(
    discarded,
    visible`\ndiscarded by ${discarded.by} at ${new Date(discarded.discardedAt).toISOString()}: ${discarded.reason}`,
    options,
  )
}

/** `more`: what has become of it since its last try. */
function tellLetter(letter: DeadLetter | DiscardedLetter, more: string, options: AskOptions): void {
  if (options.json) return print(letter)
  const { event, error } = letter
  console.log(
    [
      visible`${letter.id}: ${event.type} v${event.version} of key ${event.key}, emitted by ${event.source} at ${new Date(event.at).toISOString()}`,
      visible`tried ${letter.attempts} times by ${letter.subscription}, the last time at ${new Date(letter.diedAt).toISOString()}` +
        more,
      visible`trace ${event.trace}`,
      '',
      visible`${error.code}: ${error.message}`,
      toVisibleLines(error.stack ?? '', '    '),
      '',
      toVisible(event.data),
    ].join('\n'),
  )
}

/** `atoll dead-letters redrive`. Exit code 1 if one failed again. */
export async function redrive(
  id: string | undefined,
  options: AskOptions & { subscription?: string; dryRun?: boolean },
): Promise<void> {
  const { subscription, dryRun } = options
  const counts = { handled: 0, failed: 0, waiting: 0, gone: 0 }
  for await (const outcome of items<RedriveOutcome | GoneLetter>(options, {
    verb: 'redrive',
    options: { id, subscription, dryRun },
  })) {
    counts[outcome.outcome]++
    if (options.json) print(outcome)
    else if (isGone(outcome)) tellGone(outcome)
    else
      console.log(
        visible`${outcome.outcome.padEnd(8)}${outcome.subscription}  ${outcome.type}  ${outcome.key}${outcome.error === undefined ? '' : `  ${outcome.error}`}`,
      )
  }
  if (!options.json)
    console.log(
      `${dryRun ? 'dry run, nothing was changed: ' : ''}${counts.handled} handled, ${counts.failed} failed, ${counts.waiting} waiting${alsoGone(counts.gone)}`,
    )
  if (counts.failed > 0) process.exitCode = 1
}

/** `atoll dead-letters discard`. */
export async function discard(
  id: string | undefined,
  options: AskOptions & { reason: string; by?: string; all?: boolean; subscription?: string },
): Promise<void> {
  const { reason, by = userInfo().username, all = false, subscription } = options
  if (all ? id !== undefined || subscription === undefined : id === undefined || subscription !== undefined) {
    throw new AtollError(
      'COMMAND_USAGE',
      'name the dead letter to discard by its id; or, to discard all of one subscription, say --all --subscription <name>',
    )
  }
  let [count, gone] = [0, 0]
  for await (const letter of items<DiscardedLetter | GoneLetter>(options, {
    verb: 'discard',
    options: { id, subscription, reason, by },
  })) {
    if (isGone(letter)) gone++
    else count++
    if (options.json) print(letter)
    else if (isGone(letter)) tellGone(letter)
    else console.log(visible`discarded ${letter.id}  ${letter.event.type}  ${letter.event.key}`)
  }
  if (!options.json && all) console.log(`${count} discarded${alsoGone(gone)}`)
}

function tellGone({ id, why }: GoneLetter): void {
  console.log(visible`gone meanwhile ${id}  ${why}`)
}

function alsoGone(count: number): string {
  return count === 0 ? '' : `, ${count} gone meanwhile`
}

/** `atoll dead-letters list --discarded`. */
async function listDiscarded(options: AskOptions & { subscription?: string }): Promise<void> {
  const letters = items<DiscardedLetter>(options, { verb: 'discarded', subscription: options.subscription })
  if (options.json) return printEach(letters)
  const header = ['id', 'event', 'key', 'discarded at', 'by', 'reason']
  const count = await tellTable(
    header,
    letters,
    ({ id, event, discardedAt, by, reason }) => [
      id,
      event.type,
      event.key,
      new Date(discardedAt).toISOString(),
      by,
      reason,
    ],
    console.log,
  )
  if (count === 0) console.log('no discarded dead letters')
}

/** `atoll replay`. */
export async function replay(subscription: string, options: AskOptions): Promise<void> {
  const startedMs = performance.now()
  for await (const progress of items<ReplayProgress>(options, { verb: 'replay', subscription })) {
    if (options.json) print(progress)
    else tellProgress(progress, (performance.now() - startedMs) / 1_000)
  }
}

function tellProgress({ subscription, handled, total, held, done }: ReplayProgress, seconds: number): void {
  const rate = Math.round(handled / seconds)
  if (done) {
    if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
    const but = held === 0 ? '' : `; it holds ${held} of them as the one before did, see \`atoll dead-letters\``
    console.log(visible`${subscription} rebuilt from ${total} events in ${seconds.toFixed(1)} s, and swapped in${but}`)
  } else if (process.stderr.isTTY) {
    const left = rate === 0 ? '' : `, ${Math.ceil((total - handled) / rate)} s left`
    process.stderr.write(visible`\r\u001B[K${subscription}: ${handled} of ${total} events, ${rate}/s${left}`)
  }
}

/** Ctrl-C ends the question; so does a reader of our output that has seen enough. */
async function* items<Item>(options: AskOptions, request: ControlRequest): AsyncGenerator<Item> {
  const enough = new AbortController()
  process.once('SIGINT', () => enough.abort())
  process.stdout.on('error', () => enough.abort())
  yield* ask<Item>(options.place, request, enough.signal)
}

async function printEach(all: AsyncIterable<unknown>): Promise<void> {
  for await (const item of all) print(item)
}

function print(item: unknown): void {
  console.log(toVisibleJson(item))
}

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LedgerRow } from 'atoll/runtime'
import { holdsWithin } from '@atoll/engines/waiting'

/**
 * Asks a running system for its ledger, as `atoll ledger` does, without the time that a process takes to start.
 * Undefined if the system is gone.
 */
async function askLedger(data: string): Promise<LedgerRow[] | undefined> {
  const accounts: LedgerRow[] = []
  try {
    // the system wrote it when it got ready
    const { path } = JSON.parse(readFileSync(join(data, 'control.json'), 'utf8')) as { path: string }
    const socket = connect(path)
    await once(socket, 'connect')
    socket.write(`${JSON.stringify({ verb: 'ledger' })}\n`)
    for await (const line of createInterface(socket)) {
      const reply = JSON.parse(line) as { item?: LedgerRow; end?: true; error?: { message: string } }
      if (reply.error) throw new Error(`the ledger was refused: ${reply.error.message}`)
      if (reply.end) return accounts
      if (reply.item) accounts.push(reply.item)
    }
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined // of the operating system: it was killed meanwhile
    throw error
  }
}

/** Asks until nothing is pending any more, or the time is up. The last answer. */
export async function whenQuiet(data: string, boundMs: number): Promise<LedgerRow[] | undefined> {
  let accounts: LedgerRow[] | undefined
  await holdsWithin(boundMs, async () => {
    accounts = await askLedger(data)
    return !accounts || accounts.every((account) => account.pending === 0)
  })
  return accounts
}

/** What is wrong with a ledger of a system that should be quiet; `logged`: events in the log, by type. */
export function* judgeLedger(accounts: readonly LedgerRow[], logged: ReadonlyMap<string, number>): Iterable<string> {
  for (const account of accounts) {
    const { event, subscription, published, pending, parked, dead, balanced } = account
    if (!balanced || pending + parked + dead > 0)
      yield `the ledger of ${event} in ${subscription} is not in order: ${JSON.stringify(account)}`
    if (published !== (logged.get(event) ?? 0))
      yield `${published} of ${event} were published, and the log has ${logged.get(event) ?? 0}`
  }
}

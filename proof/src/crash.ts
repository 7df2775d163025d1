import { parseArgs } from 'node:util'
import { loop } from './crash/loop.ts'
import { watchSyncs } from './crash/oracle.ts'
import { createProgress, formatSummary, isGood, toRecord } from './crash/report.ts'
import { sabotages } from './crash/sabotage.ts'

// `npm run crash`: real processes of Conduit under load, killed with SIGKILL, started again, and held to account.

const usage = `npm run crash -- [--kills <number>] [--seed <number>] [--json]     kills Conduit so often; 100 without a number
npm run crash -- --sabotage [--only <part of a name>]              breaks promises on purpose; each must be caught
npm run crash -- --oracle                                          watches by strace that answers wait for the disk`

/** Enough for each to show. */
const SABOTAGE_KILLS = 10

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean' },
      sabotage: { type: 'boolean' },
      oracle: { type: 'boolean' },
      only: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seed = numberOf('seed', values.seed ?? String(Date.now() % 2 ** 31))
  if (values.sabotage) return sabotageAll(seed, values.only ?? '')
  if (values.oracle) return watch()
  const kills = numberOf('kills', values.kills ?? '100')
  const startedMs = performance.now()
  const summary = await loop({ kills, seed, onKill: createProgress(kills) })
  const seconds = (performance.now() - startedMs) / 1_000
  console.log(values.json ? JSON.stringify(toRecord(summary, seconds)) : formatSummary(summary, seconds))
  return isGood(summary) ? 0 : 1
}

/** Breaks one promise after the other, and expects each to be caught. */
async function sabotageAll(seed: number, only: string): Promise<number> {
  let missed = 0
  for (const sabotage of sabotages.filter(({ name }) => name.includes(only))) {
    const { violation, kills } = await loop({ kills: SABOTAGE_KILLS, seed, sabotage })
    if (!violation) missed++
    console.log(
      `${violation ? 'caught' : 'MISSED'} after ${kills} kills: ${sabotage.name}${violation ? `\n  ${violation.text.split('\n')[0]!.slice(0, 200)}` : ''}`,
    )
  }
  return missed === 0 ? 0 : 1
}

/** Holds every answer to its sync; and sees that the oracle would notice if that were not so. */
async function watch(): Promise<number> {
  const good = await watchSyncs({})
  const broken = await watchSyncs({ changes: ['synchronous=NORMAL'] })
  console.log(
    `${good.syncs} of ${good.answers} answers left after the store's file was synced${good.violations.map((text) => `\n  ${text}`).join('')}`,
  )
  console.log(
    `with synchronous=NORMAL on purpose, ${broken.syncs} of ${broken.answers} did, and the oracle ${broken.violations.length > 0 ? 'noticed' : 'DID NOT NOTICE'}`,
  )
  return good.violations.length === 0 && broken.violations.length > 0 ? 0 : 1
}

function numberOf(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new Error(`--${name} takes a whole number above 0, and got '${text}'\n${usage}`)
}

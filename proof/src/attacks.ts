import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { attacks } from './attacks/index.ts'
import { measure, type Measured, type Plan } from './attacks/measure.ts'
import { prepare } from './attacks/target.ts'
import { costOf, type Figures } from './attacks/windows.ts'
import { Conduit } from './crash/process.ts'

// `npm run attacks`: the attacks of docs/operating/security.md on Conduit, each in turns without it and with it, and
// what honest clients see meanwhile.

const usage = `npm run attacks -- [name …] [--windows 5] [--seconds 10] [--rate 40] [--url http://127.0.0.1:4000] [--json]
on Conduit as \`atoll dev\` runs it, with data of its own, or on one that runs on this machine (it is written to). Names:
${attacks.map(({ name, what }) => `  ${name.padEnd(22)} ${what}`).join('\n')}`

/** So much longer 99 in 100 answers may take while somebody attacks. */
const TIMES_MAX = 2

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    windows: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '40' },
    url: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
const wanted = positionals.length === 0 ? attacks : attacks.filter(({ name }) => positionals.includes(name))
const plan: Plan = { windows: Number(values.windows), seconds: Number(values.seconds), perSecond: Number(values.rate) }
const isPlanned = within(plan.windows, 100) && within(plan.seconds, 600) && within(plan.perSecond, 1_000)
if (values.help || !isPlanned || wanted.length < new Set(positionals).size) {
  console.log(usage)
  process.exit(values.help ? 0 : 2)
}
const folder = mkdtempSync(join(tmpdir(), 'atoll-attacks-'))
const own = values.url === undefined ? new Conduit(folder, {}) : undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(1))
try {
  const url = values.url ?? (await own?.ready)
  if (url === undefined) throw new Error(`Conduit did not start: ${own?.err}`)
  const target = await prepare(url)
  let isHeld = true
  for (const attack of wanted) {
    if (!values.json) console.log(`${attack.name}: ${attack.what}`)
    const measured = await measure(
      attack,
      target,
      plan,
      (turn) => values.json || console.log(`  ${format(turn.without)} without, ${format(turn.with)} with it`),
    )
    const cost = costOf(measured.turns)
    isHeld &&= cost.failed === 0 && cost.p99 <= TIMES_MAX
    if (values.json) console.log(JSON.stringify({ attack: attack.name, ...plan, ...measured, cost }))
    else
      console.log(
        `  p50 ${cost.p50.toFixed(2)} times, p99 ${cost.p99.toFixed(2)} times, ${cost.failed} failed; the attacker: ${formatOutcomes(measured, attack.outcome)}\n`,
      )
  }
  await end(isHeld ? 0 : 1)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  await end(2)
}

async function end(code: number): Promise<never> {
  await own?.end('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

function within(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && value <= most
}

function format({ p50, p99, answers, failures }: Figures): string {
  const failed =
    failures.length === 0 ? '' : `, ${failures.length} of ${answers} failed (${[...new Set(failures)].join(', ')})`
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms${failed}`
}

function formatOutcomes({ outcomes }: Measured, expected: string): string {
  const { [expected]: met = 0, ...others } = outcomes
  return [
    `${met} × ${expected}, as it should`,
    ...Object.entries(others).map(([outcome, count]) => `${count} × ${outcome}`),
  ].join(', ')
}

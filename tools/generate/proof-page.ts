import { existsSync, readFileSync } from 'node:fs'
import { plantedBugs } from '../../proof/src/planted/bugs.ts'
import { recordFile, type Catch } from '../../proof/src/planted/catch.ts'
import { readRecords } from '../../proof/src/outages/record.ts'
import { readRealWorld } from '../../proof/src/realworld/record.ts'
import type { SimRecord } from '../../proof/src/sim/record.ts'
import { simRecordFile } from '../../proof/src/sim/record.ts'

/** What the proof has shown, from what its last runs recorded. */
export function proofPage(): string {
  const catches = read<Catch[]>(recordFile) ?? []
  const sim = read<SimRecord>(simRecordFile)
  const runs = readRecords()
  const suites = readRealWorld()
  const caught = plantedBugs.filter(({ name }) => catches.some((one) => one.name === name))
  return [
    '# The proof of the proof',
    '',
    'A simulation that finds nothing says something only if it would have found something. So bugs are planted in the code, one at a time: text of',
    'a module is changed as it is loaded, and the module itself stays as it is. Each must be noticed.',
    `Of ${plantedBugs.length} planted bugs ${caught.length} were, in the last \`npm run planted\`. This page is generated from what it recorded.`,
    '',
    '| what is wrong | noticed by | after | what was seen to be broken |',
    '|---|---|---|---|',
    ...plantedBugs.map((bug) => {
      const found = catches.find(({ name }) => name === bug.name)
      if (!found) return `| ${bug.defect} | nothing | | |`
      const by = found.seed === undefined ? `its test, \`${found.by}\`` : `the ${found.by}`
      return `| ${bug.defect} | ${by} | ${found.seed === undefined ? '' : found.seeds === 1 ? '1 seed' : `${found.seeds} seeds`} | ${found.broken} |`
    }),
    '',
    '## Seeds',
    '',
    ...(sim
      ? [
          `${sim.date}, ${sim.machine}, Node ${sim.node}, commit ${sim.commit}. The digest is taken over the traces of all seeds: it is the same on every machine, and with every Node.`,
          '',
          '| simulation | seeds | events | least of a seed | faults | least of a seed | seconds | broken | digest |',
          '|---|---|---|---|---|---|---|---|---|',
          ...sim.results.map(
            (one) =>
              `| ${one.target} | ${one.seeds} | ${one.events} | ${one.leastEvents} | ${one.faults} | ${one.leastFaults} | ${one.seconds.toFixed(0)} | ${one.failures.length} | \`${one.digest}\` |`,
          ),
        ]
      : ['Not recorded yet: `npm run sim -- --seeds 1000 --record`.']),
    '',
    '## Outages',
    '',
    ...(runs.length > 0
      ? [
          'Conduit, and the bank, as seven processes on PostgreSQL and an engine for the log, under load, by `npm run outages -- --record`. Every kill of a service is one of its relays.',
          '',
          '| system | log | kills of services | of the log | of PostgreSQL | of the gateway | other mishaps | acknowledged | unknown | held to account | at rest after, at most | violations | |',
          '|---|---|---|---|---|---|---|---|---|---|---|---|---|',
          ...runs.map((run) => {
            const { kills } = run
            const others = Object.entries(run.mishaps)
              .filter(([name]) => !name.includes('killed'))
              .reduce((sum, [, count]) => sum + count, 0)
            const when = `${run.date.slice(0, 10)}, commit ${run.commit}, seed ${run.seed}, ${run.seconds} s`
            return `| ${run.app} | ${run.log} | ${kills.service} | ${run.log === 'postgres' ? kills.stores : kills.log} | ${kills.stores} | ${kills.gateway} | ${others} | ${run.requests.acknowledged} | ${run.requests.unknown} | ${run.accounts} | ${(run.recoveryMsMax / 1_000).toFixed(1)} s | ${run.violation ? '**1**' : 0} | ${when} |`
          }),
        ]
      : ['Not recorded yet: `npm run outages -- --kills 200 --record`.']),
    '',
    '## RealWorld',
    '',
    ...(suites.length > 0
      ? [
          "RealWorld's own test suite of its API, on Conduit as the same seven processes, twice on the same data, by `npm run realworld -- --record`.",
          '',
          '| log | requests | assertions | failed | |',
          '|---|---|---|---|---|',
          ...suites.map(
            ({ log, result, date, commit }) =>
              `| ${log} | ${result.requests} | ${result.assertions} | ${result.failures.length} | ${date.slice(0, 10)}, commit ${commit} |`,
          ),
        ]
      : ['Not recorded yet: `npm run realworld -- --record`.']),
    '',
    'What they run, and how: [proof/README.md](../../proof/README.md).',
    '',
  ].join('\n')
}

function read<T>(file: string): T | undefined {
  // the commands of the proof wrote it
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined
}

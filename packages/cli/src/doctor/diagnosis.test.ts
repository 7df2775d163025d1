import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination, Finding, LogFields, Logger } from '@atoll/host'
import { assertSafe, clearForStart, diagnose, warningsOf, type Diagnosis } from './diagnosis.ts'
import { formatDiagnosis } from './text.ts'

const untold: Finding = {
  name: 'log.sync-interval',
  value: 'unknown',
  verdict: 'unknown',
  message: 'the server does not tell it; set http_port, or make sure that it is always',
}
const safe: Finding = { name: 'store.fsync', value: 'on', verdict: 'holds', message: 'commits wait for the disk' }
const unsafe: Finding = {
  name: 'log.sync-interval',
  value: '2m',
  verdict: 'breaks',
  message: 'acknowledged records may be lost when the power goes; set it to always',
}

function examination(
  findings: readonly Finding[],
  survives: Partial<Examination['survives']> = {},
  server?: string,
): Examination {
  return {
    engine: 'Engine',
    version: '1',
    ...(server !== undefined && { server }),
    findings,
    survives: { 'process kill': true, 'OS crash': true, 'power loss': true, 'loss of a node': true, ...survives },
  }
}

const stores = examination([safe], { 'loss of a node': false })
const log = examination([unsafe], { 'OS crash': false, 'power loss': false })

describe('the doctor', () => {
  it('says of each promise what holds after which mishap', () => {
    const rows = Object.fromEntries(
      diagnose(stores, log).promises.map(({ promise, after }) => [promise.split(':')[0]!, after]),
    )
    assert.deepEqual(rows['Durable'], {
      'process kill': 'holds',
      'OS crash': 'holds',
      'power loss': 'holds',
      'loss of a node': 'lost',
    })
    assert.deepEqual(rows['Complete'], {
      'process kill': 'holds',
      'OS crash': 'detected',
      'power loss': 'detected',
      'loss of a node': 'lost',
    })
  })

  it('refuses a setting that breaks a promise, naming it, what it is and what to do', () => {
    assert.throws(() => assertSafe(diagnose(stores, log)), {
      code: 'SETTING_UNSAFE',
      message: /log:log\.sync-interval is 2m: .* set it to always.*ATOLL_ACCEPT=log:log\.sync-interval/,
    })
  })

  it('goes on with one that was accepted by name, and says so for good', () => {
    const diagnosis = diagnose(stores, log, { accept: ['log.sync-interval'] })
    assertSafe(diagnosis)
    assert.match(warningsOf(diagnosis).join(), /log\.sync-interval is 2m, and was accepted/)
  })

  it('accepts nothing else with it', () => {
    const worse = examination([unsafe, { ...unsafe, name: 'log.retention' }])
    assert.throws(() => assertSafe(diagnose(stores, worse, { accept: ['log.sync-interval'] })), {
      message: /^SETTING_UNSAFE: log:log\.retention is/,
    })
  })

  it('refuses one replica where the loss of a node is to be survived, for each part, and not where it is not', () => {
    assertSafe(diagnose(stores, examination([safe])))
    assert.throws(() => assertSafe(diagnose(stores, examination([safe]), { survive: ['loss of a node'] })), {
      message: /stores:survives-loss-of-a-node is no: Engine as it is set loses/,
    })
    const diagnosis = diagnose(stores, examination([safe]), {
      survive: ['loss of a node'],
      accept: ['stores:survives-loss-of-a-node'],
    })
    assertSafe(diagnosis)
    assert.match(formatDiagnosis(diagnosis), /✓ survives-loss-of-a-node = yes/)
  })

  it('goes on with what an engine would not say, and warns of it in one line at the start and for as long as it runs', () => {
    const diagnosis = diagnose(
      stores,
      examination([
        safe,
        untold,
        { ...untold, name: 'log.replicas' },
        { ...untold, name: 'log.clock', verdict: 'note' },
      ]),
    )
    const { warnings, logged } = startWith(diagnosis)
    assert.equal(warnings.length, 2)
    assert.match(
      warnings[0]!,
      /^log:log\.sync-interval is not known: the server does not tell it; set http_port, .*ATOLL_ACCEPT=log:log\.sync-interval$/,
    )
    assert.deepEqual(
      logged.map(({ message }) => message.split(':')[0]),
      ['promises hang on settings that are not known'],
    )
    assert.deepEqual(logged[0]!.fields, {
      findings: { 'log:log.sync-interval': untold.message, 'log:log.replicas': untold.message },
    })
    assert.match(
      formatDiagnosis(diagnosis),
      /no setting that is known breaks a promise\nnot known, though a promise hangs on it, .*: log:log\.sync-interval, log:log\.replicas; /,
    )
  })

  it('is silent about what an engine would not say once that is accepted by name', () => {
    for (const accept of [['log.sync-interval'], ['log:log.sync-interval']]) {
      const diagnosis = diagnose(stores, examination([safe, untold]), { accept })
      assert.deepEqual(startWith(diagnosis), { warnings: [], logged: [] })
      assert.match(formatDiagnosis(diagnosis), /no setting breaks a promise$/)
    }
    // of the stores it is not accepted
    assert.equal(startWith(diagnose(examination([untold]), log, { accept: ['log.sync-interval'] })).warnings.length, 2)
  })

  it('tells of what was accepted and is found nowhere', () => {
    assert.match(
      formatDiagnosis(diagnose(stores, log, { accept: ['log.sync'] })),
      /accepted, and found nowhere: log\.sync;/,
    )
  })

  it('guesses what was meant by a misspelt name, wherever it speaks of it', () => {
    for (const misspelt of ['log:log.sync-intervall', 'log.sync_intervl', 'logs:log.syncinterval']) {
      const refused = diagnose(stores, log, { accept: [misspelt] })
      const meant = `${misspelt} (is log:log.sync-interval meant?)`
      assert.ok(formatDiagnosis(refused).includes(meant), formatDiagnosis(refused))
      assert.throws(
        () => assertSafe(refused),
        (error: Error) => error.message.endsWith(`Accepted, and found nowhere: ${meant}`),
      )
      const { logged } = startWith(
        diagnose(stores, examination([safe, { ...safe, name: 'log.sync-interval' }]), { accept: [misspelt] }),
      )
      assert.deepEqual(logged[0]!.fields, { accept: [meant] })
    }
    for (const other of ['log:log.rings', 'log:log.sync'])
      assert.doesNotMatch(formatDiagnosis(diagnose(stores, log, { accept: [other] })), /meant/)
    assert.doesNotMatch(formatDiagnosis(diagnose(stores, log, { accept: ['stores:store.fsync'] })), /meant/)
  })

  it('takes a name alone for that of a finding of the log, never of one of the stores', () => {
    const accept = ['log.sync-interval']
    const [one, other] = [examination([unsafe], {}, 'one'), examination([unsafe], {}, 'other')]
    assertSafe(diagnose(examination([safe], {}, 'one'), other, { accept }))
    for (const log of [one, other]) {
      assert.throws(() => assertSafe(diagnose(one, log, { accept })), {
        message:
          /^SETTING_UNSAFE: stores:log\.sync-interval is 2m: [^;]*; set it to always\. To run all the same, .*ATOLL_ACCEPT=stores:log\.sync-interval$/,
      })
    }
    assertSafe(diagnose(one, one, { accept: ['stores:log.sync-interval'] }))
    assertSafe(diagnose(one, other, { accept: ['stores:log.sync-interval', 'log:log.sync-interval'] }))
    assert.deepEqual(diagnose(one, one, { accept: ['stores:log.sync-interval', 'log.sync-interval'] }).idle, [])
  })

  it('says of two servers with the same fault that both have it', () => {
    for (const log of [examination([unsafe], {}, 'other'), examination([unsafe])]) {
      const diagnosis = diagnose(examination([unsafe], {}, 'one'), log)
      assert.deepEqual(
        diagnosis.broken.map(({ part }) => part),
        ['stores', 'log'],
      )
      assert.equal(formatDiagnosis(diagnosis).split('✗ log.sync-interval').length, 3)
    }
  })

  it('says once what stores and log have in common, being on one server', () => {
    const diagnosis = diagnose(
      examination([safe, unsafe], {}, 'one'),
      examination([safe, unsafe, { ...safe, name: 'log.size' }], {}, 'one'),
    )
    assert.equal(diagnosis.broken.length, 1)
    const text = formatDiagnosis(diagnosis)
    assert.equal(text.split('✓ store.fsync').length, 2)
    assert.match(text, /log: Engine 1\n {2}2 as above\n {2}✓ log\.size/)
  })

  it('shows everything on one page', () => {
    const text = formatDiagnosis(diagnose(stores, log))
    for (const part of [
      'stores: Engine 1',
      '✓ store.fsync = on',
      '✗ log.sync-interval = 2m',
      'power loss',
      'a start is refused: log:log.sync-interval',
    ])
      assert.ok(text.includes(part), `${part} is not in\n${text}`)
  })
})

function startWith(diagnosis: Diagnosis): {
  warnings: readonly string[]
  logged: readonly { fields: LogFields; message: string }[]
} {
  const logged: { fields: LogFields; message: string }[] = []
  const note = (fields: LogFields, message: string): void => void logged.push({ fields, message })
  const logger: Logger = { info: note, warn: note, error: note }
  return { warnings: clearForStart(diagnosis, logger), logged }
}

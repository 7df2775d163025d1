import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { contract, projection, query, service, system } from '../index.ts'

function townOf(name: string, serviceName: string, projectionName?: string) {
  const projections =
    projectionName === undefined
      ? []
      : [projection(projectionName, { store: sqlStore({ migrations: {} }), subscribe: () => [] })]
  return system(name, { services: [service(contract(serviceName, {}), { handlers: {}, projections })] })
}

function shopWith(operation: string) {
  return contract('shop', { [operation]: query({ input: z.object({}), output: z.object({}) }) })
}

describe('a name that some engine could not take', () => {
  const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
    [
      'a service called log, whose store would be the event log',
      () => contract('log', {}),
      /'log': log\.db is the event log/,
    ],
    ['a service called lock', () => contract('lock', {}), /'lock': the file lock says/],
    [
      'a service whose file Windows takes for a device',
      () => contract('con', {}),
      /'con': Windows takes con\.db for a device/,
    ],
    [
      'a service with an underscore, which keeps systems apart',
      () => contract('my_notes', {}),
      /contract name 'my_notes'/,
    ],
    [
      'a service with upper case, which some file systems do not tell from lower',
      () => contract('Notes', {}),
      /contract name 'Notes'/,
    ],
    ['a system with a space', () => townOf('my town', 'notes'), /system name 'my town'/],
    ['a system with a dot', () => townOf('my.town', 'notes'), /system name 'my\.town'/],
    ['a system of 32 characters', () => townOf('a'.repeat(32), 'notes'), /up to 31 /],
    ['a system called pg', () => townOf('pg', 'notes'), /PostgreSQL keeps names/],
    ['a projection with a dot', () => townOf('town', 'notes', 'pages.1'), /projection name 'pages\.1'/],
    [
      'system and service, together too long for a schema',
      () => townOf('a'.repeat(31), 'b'.repeat(32)),
      /is 1 characters too long: PostgreSQL has 63/,
    ],
    [
      'a projection that could not be rebuilt a million times',
      () => townOf('town', 'b'.repeat(30), 'c'.repeat(22)),
      /is 2 characters too long: .* 7 of them for the number of a projection's rebuild/,
    ],
    [
      'an operation called as a question of the runtime, whose handler would never run',
      () => shopWith('@standing'),
      /operation name '@standing'/,
    ],
    [
      'an operation with a slash, which no address between processes could tell from its path',
      () => shopWith('a/b'),
      /operation name 'a\/b'/,
    ],
    ['an operation with a dot', () => shopWith('a.b'), /operation name 'a\.b'/],
    ['an operation without a name', () => shopWith(''), /operation name ''/],
    [
      'an operation called then, for which whoever awaits the contract would wait',
      () => shopWith('then'),
      /cannot be called 'then'/,
    ],
  ]
  for (const [what, define, message] of refused)
    it(`is refused where it is defined: ${what}`, () => assert.throws(define, { code: 'DEFINITION_INVALID', message }))

  it('is none that only looks like one of ours', () => {
    for (const name of ['lockers', 'logs', 'log-book', 'control', 'seeding', 'system', 'console', 'com', 'nully'])
      assert.equal(townOf('town', name, 'log').services[0]!.name, name)
    townOf('a'.repeat(31), 'b'.repeat(31))
    townOf('town', 'b'.repeat(30), 'c'.repeat(20))
    for (const name of ['place', 'placeAll', 'place_2', 'place-all', 'standing', 'toString', 'Then'])
      assert.deepEqual(
        shopWith(name).contract.operations.map((operation) => operation.name),
        [`shop.${name}`],
      )
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import pg from 'pg'
import { isConflict, leavesUsable, sqlStateOf, toAtollError } from './errors.ts'
import { openPool } from './pool.ts'

/** What the library throws when the server says so. */
function said(state: string, parts: { severity?: string; routine?: string } = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('said the server', 10, 'error'), {
    code: state,
    severity: 'ERROR',
    ...parts,
  })
}

const codeOf = (error: unknown): string => {
  const found = toAtollError(error, 'the database')
  return found instanceof AtollError ? found.code : 'as it is'
}

describe('what PostgreSQL says', () => {
  const meanings: Record<string, string[]> = {
    UNAVAILABLE: [
      '08006',
      '57P01',
      '57P02',
      '57P03',
      '57014',
      '55P03',
      '25P03',
      '25006',
      '28P01',
      '28000',
      '3D000',
      '26000',
      '58030',
    ],
    STORE_FULL: ['53100'],
    OVERLOADED: ['53200', '53300'],
    STORE_CORRUPT: ['XX001', 'XX002'],
    'as it is': ['23505', '23503', '40001', '40P01', '42601', '42P01', '0A000', 'XX000', '08P01'],
  }
  for (const [code, states] of Object.entries(meanings)) {
    it(`is ${code} for ${states.join(', ')}`, () => {
      assert.deepEqual(
        states.map((state) => codeOf(said(state))),
        states.map(() => code),
      )
    })
  }

  it('is about the server where it ends the connection, whatever else it would be about', () => {
    assert.deepEqual(
      ['FATAL', 'PANIC'].map((severity) => codeOf(said('08P01', { severity }))),
      ['UNAVAILABLE', 'UNAVAILABLE'],
    )
    for (const state of ['08P01', 'XX000', '57P01']) assert.ok(!leavesUsable(said(state, { severity: 'FATAL' })))
  })

  it('is about the statement where a function raised it, but for room, files and damage, of which it may have heard', () => {
    const raised = (state: string): pg.DatabaseError => said(state, { routine: 'exec_stmt_raise' })
    for (const state of ['57014', '57P01', '08006', '55P03', '28000', '3D000', '25006', '26000', 'P0001']) {
      assert.equal(codeOf(raised(state)), 'as it is')
      assert.ok(leavesUsable(raised(state)))
    }
    assert.deepEqual(
      ['53100', '53200', '58030', 'XX001'].map((state) => codeOf(raised(state))),
      ['STORE_FULL', 'OVERLOADED', 'UNAVAILABLE', 'STORE_CORRUPT'],
    )
  })

  it('is UNAVAILABLE for a plan that another deploy made stale', () => {
    assert.equal(codeOf(said('0A000', { routine: 'RevalidateCachedQuery' })), 'UNAVAILABLE')
  })

  it('keeps its state below an AtollError, and names whom it came from', () => {
    const error = toAtollError(said('57P01'), 'the database')
    assert.equal(sqlStateOf(error), '57P01')
    assert.match(error.message, /^UNAVAILABLE: the database /)
  })

  it('is a conflict only for lost races', () => {
    assert.deepEqual(
      ['40001', '40P01', '23505', '57014'].map((state) => isConflict(said(state))),
      [true, true, false, false],
    )
  })

  it('leaves a connection usable only where it is about the statement', () => {
    assert.ok(
      leavesUsable(said('23505')) &&
        leavesUsable(said('42601')) &&
        leavesUsable(said('40001')) &&
        leavesUsable(said('08P01')) &&
        leavesUsable(said('XX000')),
    )
    for (const error of [
      said('57014'),
      said('57P01', { severity: 'FATAL' }),
      said('25006'),
      said('XX001'),
      said('0A000', { routine: 'RevalidateCachedQuery' }),
      new Error('Connection terminated'),
    ]) {
      assert.ok(!leavesUsable(error))
    }
  })
})

describe('what the way to PostgreSQL says', () => {
  it('is UNAVAILABLE', () => {
    for (const code of [
      'ECONNREFUSED',
      'ECONNRESET',
      'ETIMEDOUT',
      'EPIPE',
      'ENOTFOUND',
      'EAI_AGAIN',
      'SELF_SIGNED_CERT_IN_CHAIN',
    ])
      assert.equal(codeOf(Object.assign(new Error('no'), { code })), 'UNAVAILABLE')
    for (const message of [
      'Connection terminated unexpectedly',
      'timeout exceeded when trying to connect',
      'Client has encountered a connection error and is not queryable',
    ])
      assert.equal(codeOf(new Error(message)), 'UNAVAILABLE')
  })

  it('leaves errors of others as they are', () => {
    const error = new TypeError('not a function')
    assert.equal(toAtollError(error, 'the database'), error)
    const own = new AtollError('CONFLICT', 'taken')
    assert.equal(toAtollError(own, 'the database'), own)
  })

  it('is UNAVAILABLE at once where nothing listens', async () => {
    const pool = openPool({
      url: 'postgres://somebody:secret@127.0.0.1:1/shop',
      host: createNodeHost(),
      applicationName: 'test',
      connectionsMax: 1,
    })
    await assert.rejects(
      pool.query('SELECT'),
      (error: AtollError) =>
        error.code === 'UNAVAILABLE' && error.message.includes('127.0.0.1:1/shop') && !error.message.includes('secret'),
    )
    await pool.close()
    await assert.rejects(pool.query('SELECT'), { code: 'UNAVAILABLE' })
  })

  it('refuses a URL that is none, and does not repeat it', () => {
    for (const url of ['', 'shop', 'mysql://root:secret@db/shop', 'postgres://root:secret@db:port/shop']) {
      assert.throws(
        () => openPool({ url, host: createNodeHost(), applicationName: 'test', connectionsMax: 1 }),
        (error: AtollError) =>
          error.code === 'INVALID' && !error.message.includes('secret') && error.cause === undefined,
      )
    }
  })
})

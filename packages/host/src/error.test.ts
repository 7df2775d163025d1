import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'
import { AtollError, describeThrown } from './index.ts'

/** Things that handlers can throw, each with what should be said of it. */
const thrown: readonly (readonly [name: string, thrown: unknown, says: RegExp])[] = [
  ['undefined', undefined, /^undefined$/],
  ['null', null, /^null$/],
  ['a text', 'out of paper', /^out of paper$/],
  ['an empty text', '', /./],
  ['a symbol', Symbol('odd'), /^Symbol\(odd\)$/],
  ['a bigint', 7n, /^7$/],
  ['a function', () => 1, /./],
  ['an object without a prototype', Object.create(null), /./],
  ['an object with a message', { message: 'like an error' }, /^like an error$/],
  ['an error without a message', new RangeError(), /^RangeError$/],
  ['an error of another realm', runInNewContext('new TypeError("from afar")'), /^from afar$/],
  ['a stack that is a list', Object.assign(new Error('x'), { stack: [{ file: 'a.ts' }] }), /^x$/],
  ['a message that is a list', Object.assign(new Error('x'), { message: ['a', 'b'] }), /./],
  ['a message that is a number', Object.assign(new Error('x'), { message: 404 }), /^404$/],
  [
    'a getter that throws',
    Object.defineProperties(new Error('x'), {
      message: { get: fail },
      stack: { get: fail },
      name: { get: fail },
      cause: { get: fail },
    }),
    /./,
  ],
  ['a proxy that is revoked', revoked(), /./],
  ['a proxy that throws', new Proxy(new Error('x'), { get: fail, getPrototypeOf: fail, has: fail }), /./],
  ['a cause that is itself', circular(), /^around$/],
  ['a text that converts to nothing', { toString: fail, [Symbol.toPrimitive]: fail }, /./],
  [
    'an AggregateError',
    new AggregateError([new Error('first'), 'second', undefined, Symbol('fourth'), new Error('fifth')], 'all failed'),
    /^all failed: first; second; undefined; Symbol\(fourth\); and 1 more$/,
  ],
  [
    'an AggregateError whose list is a trap',
    Object.assign(new AggregateError([], 'all failed'), { errors: revoked() }),
    /^all failed$/,
  ],
  [
    'an AtollError whose message became a list',
    Object.assign(new AtollError('NOT_FOUND', 'x'), { message: ['a'] }),
    /./,
  ],
  [
    'an AtollError of a code that there is not',
    Object.assign(new AtollError('NOT_FOUND', 'no shelf'), { code: 'toString' }),
    /no shelf/,
  ],
  ...(['code', 'message', 'details', 'cause', 'stack'] as const).map(
    (field) =>
      [
        `an AtollError whose ${field} throws`,
        Object.defineProperty(new AtollError('NOT_FOUND', 'no shelf'), field, { get: fail }),
        /./,
      ] as const,
  ),
  [
    'an AtollError of another code each time',
    Object.defineProperty(new AtollError('NOT_FOUND', 'no shelf'), 'code', {
      get: alternating('NOT_FOUND', 'toString'),
    }),
    /no shelf/,
  ],
  [
    'an AtollError whose details are gone',
    Object.assign(new AtollError('NOT_FOUND', 'no shelf'), { details: null }),
    /no shelf/,
  ],
  [
    'a proxy of an AtollError that throws',
    new Proxy(new AtollError('NOT_FOUND', 'no shelf'), {
      get: (error, field) => (field === 'code' ? fail() : (Reflect.get(error, field) as unknown)),
    }),
    /no shelf/,
  ],
  ['an error whose stack is a number, and its message a text', Object.assign(new Error('x'), { stack: 7 }), /^x$/],
  ['an error whose cause throws', Object.defineProperty(new Error('x'), 'cause', { get: fail }), /^x$/],
  ['a huge text', 'x'.repeat(50_000_000), /^x{9999}…$/],
]

function fail(): never {
  throw new Error('this must not be looked at')
}

function alternating(...values: readonly string[]): () => string {
  let reads = 0
  return () => values[reads++ % values.length]!
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable([], {})
  revoke()
  return proxy
}

function circular(): Error {
  const error = new Error('around')
  error.cause = new Error('and around', { cause: error })
  return error
}

describe('an error', () => {
  it('can be made of anything that was thrown, and says what it was', () => {
    for (const [name, what, says] of thrown) {
      const error = AtollError.from(what)
      assert.ok(error instanceof AtollError, name)
      assert.equal(error.code, 'INTERNAL', name)
      assert.ok(says.test(error.reason), `${name}: ${error.reason.slice(0, 200)}`)
      assert.equal(typeof error.stack, 'string', name)
      assert.deepEqual([error.status, error.retryable], [500, false], name)
      if (error.cause instanceof Error)
        assert.deepEqual([typeof error.cause.message, typeof error.cause.stack], ['string', 'string'], name)
      const { message, stack } = describeThrown(error.cause)
      assert.ok(
        typeof message === 'string' && message.length > 0 && typeof stack === 'string' && stack.length > 0,
        name,
      )
      assert.equal(AtollError.from(error), error, name)
    }
  })

  it('is left as it is where it is one of ours, and keeps what a handler threw as its cause', () => {
    const ours = new AtollError('CONFLICT', 'taken', { details: { field: 'name' } })
    assert.equal(AtollError.from(ours), ours)
    const theirs = new TypeError('x is not a function')
    assert.equal(AtollError.from(theirs).cause, theirs)
    assert.equal(AtollError.from('a text').cause, 'a text')
  })

  it('shows where its causes were thrown, each once', () => {
    const { stack } = describeThrown(circular())
    assert.match(stack, /^Error: around\n +at [^]*\ncaused by: Error: and around\n +at /)
    assert.equal(stack.split('caused by').length, 2)
  })
})

import { AtollError } from '@atoll/host'

/**
 * What handlers, upcasters and keys can throw that is hard to look at or to write down; by name, made anew for each
 * throw.
 */
export const oddErrors: Readonly<Record<string, () => unknown>> = {
  'an ordinary error': () => new Error('ordinary'),
  'JSON.parse of a text with U+0000': () => thrownBy(() => JSON.parse('\u0000')),
  'a message and a stack with U+0000': () => Object.assign(new Error('a\0b'), { stack: 'Error: a\0b\n  at \0' }),
  'a pair of surrogates where a message is cut': () => new AtollError('CONFLICT', `${'x'.repeat(1_999)}👩`),
  'halves of surrogates': () => new Error(`\ud800 and ${'👩'.repeat(2_000)}`),
  'a stack that is a list': () => Object.assign(new Error('x'), { stack: [{ file: 'a.ts' }] }),
  'a message that is no text': () => Object.assign(new Error('x'), { message: { text: 'y' } }),
  'getters that throw': () =>
    Object.defineProperties(new Error('x'), { message: { get: fail }, stack: { get: fail }, cause: { get: fail } }),
  'one of ours whose code throws': () => Object.defineProperty(new AtollError('NOT_FOUND', 'x'), 'code', { get: fail }),
  'one of ours whose details throw': () =>
    Object.defineProperty(new AtollError('NOT_FOUND', 'x'), 'details', { get: fail }),
  'one of ours whose details are gone': () => Object.assign(new AtollError('NOT_FOUND', 'x'), { details: undefined }),
  'one of ours whose cause throws': () =>
    Object.defineProperty(new AtollError('NOT_FOUND', 'x'), 'cause', { get: fail }),
  'one of ours whose message throws': () =>
    Object.defineProperty(new AtollError('NOT_FOUND', 'x'), 'message', { get: fail }),
  'causes in a circle': () => {
    const error = new Error('around')
    error.cause = new Error('and around', { cause: error })
    return error
  },
  'a huge message': () => new Error('x'.repeat(2_000_000)),
  'an AggregateError': () => new AggregateError([new Error('a\0b'), undefined]),
  undefined: () => undefined,
  null: () => null,
  'a symbol': () => Symbol('odd'),
  'a function': () => () => 1,
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    return proxy
  },
  'an object without a prototype': () => Object.create(null) as unknown,
}

function fail(): never {
  throw new Error('this must not be looked at')
}

function thrownBy(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

import { AtollError } from '@atoll/host'

/**
 * What a handler throws in a simulation. JavaScript throws anything, and what must be recorded of it goes into columns
 * of text: each of these has kept somebody from that.
 */
export const thrown = {
  'an error': () => new AtollError('INTERNAL', 'a simulated handler throws'),
  'an error that no store takes': () =>
    Object.assign(new SyntaxError(`Unexpected token \0 in JSON, \udc00${'👩'.repeat(5_000)}\ud83d`), {
      stack: 'SyntaxError: \0\n    at \ud83d',
    }),
  'an error that is no text': () =>
    Object.assign(new Error(), { message: { of: [1n] }, stack: [{ file: 'handler.ts', line: 1 }] }),
  'an error that throws when it is looked at': () =>
    Object.defineProperties(new Error(), { message: { get: refuse }, stack: { get: refuse }, cause: { get: refuse } }),
  'causes in a circle': () => {
    const outer = new Error('outer')
    outer.cause = new Error('inner', { cause: outer })
    return outer
  },
  'an error of a megabyte': () => new Error('x'.repeat(1_000_000)),
  nothing: () => undefined,
  'a symbol': () => Symbol('thrown'),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
} satisfies Record<string, () => unknown>

export type Thrown = keyof typeof thrown

export const thrownKinds = Object.keys(thrown) as readonly Thrown[]

function refuse(): never {
  throw new TypeError('nobody may look at this error')
}

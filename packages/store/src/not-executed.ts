import { AtollError } from '@atoll/host'

export function notExecuted(what: string, remedy: string): AtollError {
  return new AtollError(
    'NOT_EXECUTED',
    `${what} was built and never executed, so it did nothing, and what its handler did was undone. Write ${remedy}, await it, and build a write only where it is executed`,
  )
}

/** Methods that execute a query, of everybody's builders. */
const executing = new WeakSet<object>()

/**
 * Has methods that execute a query refuse to be awaited themselves: without its parentheses, `await
 * query.executeTakeFirst` resolves with the method, which a guard takes for a row. That costs a call nothing. An async
 * function that returns such a method rejects as well; alone it could not be called.
 */
export function refuseUncalled(prototype: object, names: readonly string[]): void {
  const methods = prototype as Record<string, object | undefined> // by their names
  for (const name of names) {
    const method = methods[name]
    if (!method) continue
    executing.add(method)
    Object.defineProperty(method, 'then', {
      configurable: true,
      get: () => {
        throw uncalled(name)
      },
    })
  }
}

export function isExecuting(value: object): boolean {
  return executing.has(value)
}

export function uncalled(name: string): AtollError {
  return notExecuted(`a query whose ${name} nobody called`, `.${name}() with its parentheses`)
}

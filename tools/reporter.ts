import type { TestEvent } from 'node:test/reporters'

// Says what failed, what was skipped and why, and last, on a line of its own: `N passed, N failed`.

interface Failure {
  readonly path: string
  readonly file: string
  readonly error: Error
}

/** `tell` hears of each test, by its path of names. */
export default async function* report(
  source: AsyncIterable<TestEvent>,
  tell: (path: string, passed: boolean) => void = () => {},
): AsyncGenerator<string> {
  const failures: Failure[] = []
  const skipped: string[] = []
  let passed = 0
  const names: string[] = []
  for await (const { type, data } of source) {
    if (type === 'test:start') names[data.nesting] = data.name
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const isSuite = data.details.type === 'suite'
    const path = names.slice(0, data.nesting).concat(data.name).join(' › ')
    if (!isSuite) tell(path, type === 'test:pass' && data.skip === undefined)
    if (data.skip !== undefined) skipped.push(`${path}: ${data.skip === true ? 'no reason given' : data.skip}`)
    else if (type === 'test:pass') passed += isSuite ? 0 : 1
    else if (!isSuite || !isFailureOfSubtests(data.details.error)) {
      failures.push({ path, file: data.file ?? '', error: data.details.error })
      yield describe(failures[failures.length - 1]!)
    }
  }
  for (const line of skipped) yield `skipped: ${line}\n`
  if (passed + failures.length === 0) yield 'no test ran\n'
  yield `${passed} passed, ${failures.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}\n`
}

/** A suite fails because its tests do; those are told of already. */
function isFailureOfSubtests(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}

function describe({ path, file, error }: Failure): string {
  const { cause } = error
  return `✗ ${path}\n  ${file}\n${indent(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message))}\n\n`
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}

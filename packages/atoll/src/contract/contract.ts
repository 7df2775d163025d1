import { AtollError } from '@atoll/host'
import { z } from 'zod'
import type { EventDefinition } from './event.ts'
import { judge } from './judgement.ts'
import { assertContractName, assertOperationName } from './names.ts'
import type { Bound, BoundOperation, Operation } from './operation.ts'
import { isRemade } from './remade.ts'
import { hasSecret } from './secret.ts'

/** What a contract is made of: its events, how it words errors, and operations by name. */
export interface ContractDefinition {
  readonly events?: readonly EventDefinition[]
  readonly errors?: ErrorShape
  readonly [operation: string]: Operation | readonly EventDefinition[] | ErrorShape | undefined
}

/** Words an error of this contract's operations for HTTP. Without one the answer is problem+json (RFC 9457). */
export type ErrorShape = (error: AtollError) => { status: number; body: unknown }

/** What a service shows others. Its operations are its properties: `orders.place`. */
export type Contract<Name extends string = string, Definition extends ContractDefinition = ContractDefinition> = {
  readonly contract: ContractFacts<Name, Definition>
} & { readonly [K in OperationNames<Definition>]: Definition[K] & Bound }

/** The facts of a contract, for the runtime, the gateway and tools. */
export interface ContractFacts<
  Name extends string = string,
  Definition extends ContractDefinition = ContractDefinition,
> {
  readonly name: Name
  readonly definition: Definition
  readonly events: readonly EventDefinition[]
  readonly operations: readonly BoundOperation[]
  readonly errors: ErrorShape | undefined
}

/** Any contract, for lists. */
export interface AnyContract {
  readonly contract: ContractFacts
}

/** The names of a definition's operations. */
export type OperationNames<Definition> = {
  [K in keyof Definition & string]: string extends K ? never : Definition[K] extends Operation ? K : never
}[keyof Definition & string]

/** The events of a definition, as a union. */
export type EventsOf<Definition> = Definition extends { readonly events: readonly (infer Event)[] } ? Event : never

/**
 * Declares what a service shows others. Throws DEFINITION_INVALID for a name that some engine could not take (lower
 * case letters, digits and dashes; not `log` or `lock`), an operation called `contract`, `events`, `errors` or `then`,
 * or otherwise than with letters, digits, _ and dashes, an input or output that JSON cannot carry, and a command that
 * answers with a secret and does not say whether it keeps its answers.
 */
export function contract<const Name extends string, const Definition extends ContractDefinition>(
  name: Name,
  definition: Definition,
): Contract<Name, Definition> {
  assertContractName(name)
  for (const word of reserved) {
    if (Object.hasOwn(definition, word) && (isOperation(definition[word]) || word === 'contract'))
      throw new AtollError('DEFINITION_INVALID', `contract ${name}: an operation cannot be called '${word}'`)
  }
  const operations: BoundOperation[] = []
  const byName: Record<string, BoundOperation> = {}
  for (const [key, value] of Object.entries(definition)) {
    if (!isOperation(value)) continue
    assertOperationName(name, key)
    const full = `${name}.${key}`
    judge(value.input, 'input', `the input of ${full}`)
    const bound: BoundOperation = {
      ...value,
      name: full,
      contract: name,
      remakesInput: isRemade(value.input),
      outputTrust: judge(value.output, 'output', `the output of ${full}`),
      keepsAnswers: keepsAnswers(value, full),
    }
    assertParams(bound)
    operations.push(bound)
    byName[key] = bound
  }
  const facts: ContractFacts<Name, Definition> = {
    name,
    definition,
    events: definition.events ?? [],
    operations,
    errors: definition.errors,
  }
  // The loop above gave every operation of the definition its name, which is what the mapped type says.
  return { contract: facts, ...byName } as Contract<Name, Definition>
}

/** What contracts have besides operations, and what would become the prototype of one. */
const reserved = ['contract', 'events', 'errors', '__proto__']

/**
 * A secret in an answer that is kept is one that lies in the store, and is good for as long as it lies there: that is
 * to be decided, and not to happen.
 */
function keepsAnswers({ kind, keepAnswers, output }: Operation, name: string): boolean {
  if (kind === 'query') return false
  if (keepAnswers === undefined && hasSecret(output)) {
    throw new AtollError(
      'DEFINITION_INVALID',
      `${name} answers with a secret and does not say whether answers to an Idempotency-Key are kept: say keepAnswers: false, and a repetition runs again; or true, and the secret lies in the store in clear until it is forgotten (answersKeptMs)`,
    )
  }
  return keepAnswers ?? true
}

/** What a path names must be something that the input has: it would be dropped, and nobody would know. */
function assertParams({ name, http, input }: BoundOperation): void {
  if (http === undefined || !(input instanceof z.ZodObject)) return
  for (const [, param] of http.matchAll(/:(\w+)/g)) {
    if (!(param! in input.shape))
      throw new AtollError(
        'DEFINITION_INVALID',
        `${name}: its path ${http} names ${param}, which its input does not have (${Object.keys(input.shape).join(', ') || 'it has nothing'})`,
      )
  }
}

function isOperation(value: ContractDefinition[string]): value is Operation {
  return typeof value === 'object' && 'kind' in value && (value.kind === 'command' || value.kind === 'query')
}

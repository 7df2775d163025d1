import { AtollError } from '@atoll/host'
import { z } from 'zod'
import { describeFlaw, type Flaw } from '../../contract/json-value.ts'
import type { BoundOperation } from '../../contract/operation.ts'
import type { FieldMessages } from '../../refusals.ts'
import { runAttributed } from '../handling/attribution.ts'
import type { OperationParts } from './operations.ts'

/**
 * What an operation's schema makes of what was sent. INVALID if it refuses that; and if it throws, as `JSON.parse` and
 * `new URL` in a `.transform()` do: what was sent made it throw. The log tells of it, since it may also be a defect,
 * and a schema that refuses names the field.
 */
export function parseInput(
  { faults, attribution, logger }: Pick<OperationParts, 'faults' | 'attribution' | 'logger'>,
  operation: BoundOperation,
  sent: unknown,
  requestId: string,
): unknown {
  let parsed: z.ZodSafeParseResult<unknown>
  try {
    parsed = runAttributed(attribution, logger, { handling: operation.name, requestId }, () =>
      operation.input.safeParse(sent),
    )
  } catch (thrown) {
    if (isOwn(thrown)) throw thrown
    const error = AtollError.from(thrown)
    faults.error(
      { operation: operation.name, requestId, error },
      `the input schema of ${operation.name} threw; its caller was answered INVALID. If a value made it throw, refuse that with context.addIssue, or a .refine before the .transform`,
    )
    throw unreadable(operation, sent, thrown)
  }
  if (parsed.success) return parsed.data
  throw invalidInput(operation, parsed.error)
}

/** What a schema throws whatever was sent, or on purpose. */
function isOwn(thrown: unknown): boolean {
  return thrown instanceof z.core.$ZodAsyncError || thrown instanceof ReferenceError || thrown instanceof AtollError
}

function unreadable(operation: BoundOperation, sent: unknown, cause: unknown): AtollError {
  const field = whereItThrows(operation.input, sent).join('.')
  const fields: FieldMessages = { [field]: ['cannot be read'] }
  return new AtollError('INVALID', `${operation.name}: ${field || 'input'}: cannot be read`, {
    details: { fields },
    cause,
  })
}

/** The place in a value on which its schema throws, as far down as objects and lists go. */
function whereItThrows(schema: z.core.$ZodType, value: unknown): readonly (string | number)[] {
  const { def } = (schema as z.core.$ZodTypes)._zod // every schema is one of zod's
  if ('innerType' in def) return whereItThrows(def.innerType, value)
  if (typeof value !== 'object' || value === null) return []
  const parts: readonly (readonly [string | number, z.core.$ZodType, unknown])[] =
    def.type === 'object'
      ? Object.entries(def.shape).map(([name, field]) => [name, field, (value as Record<string, unknown>)[name]])
      : def.type === 'array' && Array.isArray(value)
        ? value.map((element, index) => [index, def.element, element])
        : []
  const found = parts.find(([, part, inner]) => throwsOn(part, inner))
  return found ? [found[0], ...whereItThrows(found[1], found[2])] : []
}

function throwsOn(schema: z.core.$ZodType, value: unknown): boolean {
  try {
    z.safeParse(schema, value)
    return false
  } catch {
    return true
  }
}

/**
 * Why an operation is not asked for with an input that JSON does not carry as it is: in the words of its schema, if
 * that refuses it too.
 */
export function unsendable(operation: BoundOperation, input: unknown, flaw: Flaw): AtollError {
  const refusal = flaw.isTooDeep ? undefined : refusalOf(operation, input)
  if (refusal) return refusal
  const fields: FieldMessages = { [flaw.path.join('.')]: [flaw.why] }
  return new AtollError('INVALID', `${operation.name} cannot be asked for with that. ${describeFlaw(flaw, 'input')}`, {
    details: { fields },
  })
}

/** In the words of the schema; undefined if it has none. */
function refusalOf(operation: BoundOperation, input: unknown): AtollError | undefined {
  try {
    const { error } = operation.input.safeParse(input)
    return error && invalidInput(operation, error)
  } catch {
    return undefined
  }
}

function invalidInput(operation: BoundOperation, error: z.ZodError): AtollError {
  const named = new Map<string, string[]>() // a field may be called as something that every object has
  for (const { path, message } of error.issues.slice(0, ISSUES_MAX)) {
    const field = path.map(String).join('.')
    named.set(field, [...(named.get(field) ?? []), message])
  }
  const fields: FieldMessages = Object.fromEntries(named)
  const message = Object.entries(fields)
    .map(([field, messages]) => `${field || 'input'}: ${messages.join(', ')}`)
    .join('; ')
  return new AtollError('INVALID', `${operation.name}: ${message}`, { details: { fields } })
}

/** What is said of an input: a list of thousands is no help, and takes longer to send than what was wrong. */
const ISSUES_MAX = 100

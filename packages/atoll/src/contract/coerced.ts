import type { z } from 'zod'

/**
 * The fields of an input that its schema makes numbers of, whatever comes: `z.coerce.number()`, also in a list. Only
 * what the input itself has is looked at, not what lies in it.
 */
export function coercedNumbers(input: z.ZodType): readonly string[] {
  const { def } = (input as z.core.$ZodType as z.core.$ZodTypes)._zod // every schema is one of zod's
  return def.type === 'object' ? Object.keys(def.shape).filter((name) => makesNumbers(def.shape[name]!)) : []
}

function makesNumbers(schema: z.core.$ZodType): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod
  switch (def.type) {
    case 'number':
      return def.coerce === true
    case 'array':
      return makesNumbers(def.element)
    case 'union':
      return def.options.some(makesNumbers)
    case 'pipe':
      return makesNumbers(def.in)
    default:
      return 'innerType' in def && makesNumbers(def.innerType)
  }
}

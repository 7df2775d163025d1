import type { z } from 'zod'

/**
 * Whether a schema makes every object and list anew of which its value consists. Then neither its own code nor a
 * handler gets hold of one that was sent, and what was sent stays as it is. Judged once, when the schema is given;
 * false where nobody can tell.
 */
export function isRemade(schema: z.core.$ZodType, seen = new Set<z.core.$ZodType>()): boolean {
  if (seen.has(schema)) return true // it contains itself: the rest of it decides
  seen.add(schema)
  const isSo = (part: z.core.$ZodType): boolean => isRemade(part, seen)
  const { def } = (schema as z.core.$ZodTypes)._zod // every schema is one of zod's
  switch (def.type) {
    case 'object':
      // that of a loose one lets anything through
      return Object.values(def.shape).every(isSo) && (def.catchall === undefined || isSo(def.catchall))
    case 'array':
      return isSo(def.element)
    case 'tuple':
      return def.items.every(isSo) && (def.rest === null || isSo(def.rest))
    case 'record':
      return def.mode !== 'loose' && isSo(def.valueType) // its keys are texts
    case 'union':
      return def.options.every(isSo)
    case 'intersection':
      return isSo(def.left) && isSo(def.right)
    case 'pipe':
      return isSo(def.in) // what comes after it has what this one makes
    case 'optional':
    case 'nullable':
    case 'nonoptional':
    case 'default':
    case 'prefault':
    case 'success':
    case 'readonly':
      return isSo(def.innerType)
    case 'lazy':
      return isLazyRemade(def.getter, isSo)
    default:
      // not: any, unknown, transform and custom, which have what was sent; catch, whose function sees it; and what zod
      // will have some day
      return withoutParts.has(def.type)
  }
}

function isLazyRemade(getter: () => z.core.$ZodType, isSo: (part: z.core.$ZodType) => boolean): boolean {
  try {
    return isSo(getter())
  } catch {
    return false // it names a schema that is not there yet
  }
}

/** Kinds whose values are no objects that were sent. */
const withoutParts: ReadonlySet<string> = new Set([
  'string',
  'number',
  'boolean',
  'null',
  'undefined',
  'void',
  'never',
  'enum',
  'literal',
  'template_literal',
  'date',
  'bigint',
])

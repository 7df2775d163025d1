import { z } from 'zod'

/**
 * Marks what is secret in an input or an output: `secret(z.string())` for a password or a token. It is zod's own
 * metadata (`.meta({ secret: true })`), so it stays when checks are added, and stands in a JSON Schema. A command whose
 * output has a secret must say whether it keeps its answers.
 */
export function secret<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ secret: true })
}

/** Whether a schema, or any part of it, is marked as a {@link secret}. */
export function hasSecret(schema: z.core.$ZodType, seen = new Set<z.core.$ZodType>()): boolean {
  if (seen.has(schema)) return false
  seen.add(schema)
  return z.globalRegistry.get(schema)?.['secret'] === true || partsOf(schema).some((part) => hasSecret(part, seen))
}

/** The schemas that a schema is made of. */
function partsOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod // every schema is one of zod's
  if (def.type === 'object') return [...Object.values(def.shape), ...(def.catchall ? [def.catchall] : [])]
  if (def.type === 'lazy') return lazyPart(def.getter)
  return Object.values(def).flat().filter(isSchema)
}

function lazyPart(getter: () => z.core.$ZodType): z.core.$ZodType[] {
  try {
    return [getter()]
  } catch {
    return [] // it names a schema that is not there yet
  }
}

function isSchema(part: unknown): part is z.core.$ZodType {
  return part instanceof z.core.$ZodType
}

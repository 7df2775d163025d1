import { isObject } from '../protocol.ts'

/** What a registry answers to those who ask for instances. */
export interface Listed {
  /** Of the registry: versions of two runs have nothing to do with each other. */
  readonly run: string
  readonly version: number
  /** It has just begun, and may not know everybody. */
  readonly isWarming: boolean
  /** Those that are ready. */
  readonly instances: readonly ListedInstance[]
}

export interface ListedInstance {
  readonly id: string
  readonly url: string
  readonly services: readonly string[]
}

/** Reads what a registry answered; undefined if it is something else. */
export function decodeListed(body: unknown): Listed | undefined {
  if (
    !isObject(body) ||
    typeof body['run'] !== 'string' ||
    typeof body['version'] !== 'number' ||
    !Array.isArray(body['instances'])
  )
    return undefined
  const valid = body['instances'].every(
    (one: unknown) =>
      isObject(one) &&
      typeof one['id'] === 'string' &&
      typeof one['url'] === 'string' &&
      Array.isArray(one['services']),
  )
  return valid ? (body as unknown as Listed) : undefined // looked at just now
}

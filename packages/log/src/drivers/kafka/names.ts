import { AtollError } from '@atoll/host'

/** Topics, and the ids of who writes them, are called `<system>.<source>`; no system's name holds a dot, so that two never meet. */
export function topicOf(system: string, source: string): string {
  if (!sourcePattern.test(source) || source === '.' || source === '..') {
    throw new AtollError('INVALID', `'${source}' cannot be the name of a source in Kafka: letters, digits, '-', '_' and '.', at most 180 of them`)
  }
  return `${system}.${source}`
}

export function assertSystem(system: string): void {
  if (systemPattern.test(system)) return
  throw new AtollError('INVALID', `'${system}' cannot be the name of a system in Kafka: lower-case letters, digits and '-', beginning with a letter, at most 60 of them`)
}

const systemPattern = /^[a-z][a-z0-9-]{0,59}$/
const sourcePattern = /^[A-Za-z0-9._-]{1,180}$/

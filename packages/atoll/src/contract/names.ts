import { AtollError } from '@atoll/host'

// One rule for names, so that what is defined can lie in a folder and on every engine: moving is configuration. A name
// becomes that of a file, of a schema and a role of PostgreSQL (`system_service`, 63 characters), of a stream, a topic
// and a subject. What follows is what the strictest of them takes.

export function assertSystemName(name: string): void {
  if (!namePattern.test(name) || name.length > SYSTEM_CHARS_MAX)
    refuse(
      `system name '${name}' must be up to ${SYSTEM_CHARS_MAX} lower case letters, digits and dashes, beginning with a letter, for schemas, streams and topics are called after it`,
    )
  if (name === 'pg') refuse(`a system cannot be called 'pg': PostgreSQL keeps names that begin with pg_ for itself`)
}

export function assertContractName(name: string): void {
  if (!namePattern.test(name))
    refuse(`contract name '${name}' must be lower case letters, digits and dashes, beginning with a letter`)
  const file = ours.get(name)
  if (file !== undefined)
    refuse(`a service cannot be called '${name}': ${file}. Name it otherwise ('${name}s', '${name}-keeper')`)
  if (devices.test(name))
    refuse(`a service cannot be called '${name}': Windows takes ${name}.db for a device. Name it otherwise`)
}

/**
 * It becomes a part of an address between processes (`/call/orders.place`). Names that begin with @ are the runtime's
 * own questions to a service.
 */
export function assertOperationName(contract: string, name: string): void {
  if (!operationPattern.test(name))
    refuse(
      `contract ${contract}: operation name '${name}' must be letters (a to z), digits, _ and dashes, beginning with a letter`,
    )
  if (name === 'then')
    refuse(
      `contract ${contract}: an operation cannot be called 'then': whoever awaits the contract would wait for ever`,
    )
}

export function assertProjectionName(name: string): void {
  if (!namePattern.test(name))
    refuse(`projection name '${name}' must be lower case letters, digits and dashes, beginning with a letter`)
}

/** `store`: a service, or a projection of one, `reading.pages`. */
export function assertStoreFits(system: string, store: string): void {
  const generation = store.includes('.') ? GENERATION_CHARS : 0 // each rebuild of a projection is a store of its own
  const chars = system.length + 1 + store.length + generation
  if (chars > STORE_CHARS_MAX) {
    refuse(
      `'${system}_${store}' is ${chars - STORE_CHARS_MAX} characters too long: PostgreSQL has ${STORE_CHARS_MAX} for the name of a schema${generation > 0 ? `, ${generation} of them for the number of a projection's rebuild` : ''}. Shorten ${store}, or the name of the system`,
    )
  }
}

function refuse(message: string): never {
  throw new AtollError('DEFINITION_INVALID', message)
}

const namePattern = /^[a-z][a-z0-9-]*$/
const operationPattern = /^[a-z][\w-]*$/i
const SYSTEM_CHARS_MAX = 31
const STORE_CHARS_MAX = 63
/** `.999999` */
const GENERATION_CHARS = 7
const ours: ReadonlyMap<string, string> = new Map([
  ['log', 'log.db is the event log'],
  ['lock', 'the file lock says who has a data folder'],
])
const devices = /^(con|prn|aux|nul|com\d|lpt\d)$/

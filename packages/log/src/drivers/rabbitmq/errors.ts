import { AtollError } from '@atoll/host'

/** What RabbitMQ or its client said, as an AtollError that names the engine. */
export function toAtollError(thrown: unknown, engine: string): AtollError {
  if (thrown instanceof AtollError) return thrown
  // a mistake of ours, not a state of the engine
  if (thrown instanceof TypeError || thrown instanceof RangeError) return AtollError.from(thrown)
  const message = describe(thrown)
  const unavailable = (text: string): AtollError =>
    new AtollError('UNAVAILABLE', `${engine} ${text} (${message})`, { cause: thrown })

  if (message.includes('Login was refused'))
    return unavailable('refuses the credentials: set the right user and password in the url')
  if (message.includes('Expected ConnectionOpenOk'))
    return unavailable('does not let this user into the virtual host of the url: name one that there is, and grant it')
  if (codeOf(thrown) === 403)
    return unavailable(
      'denies this user what the log needs: let it configure, write and read atoll/.*, and write and read amq.direct',
    )
  if (isElsewhere(thrown))
    return unavailable(
      'has the stream, and no replica of it runs on the node that this connection leads to: it soon will after a start; where it never does, name the other nodes in the url, or add one with rabbitmq-streams add_replica',
    )
  if (message.includes('CONNECTION_FORCED')) return unavailable('is being stopped')
  if (message === 'message nacked') return unavailable('could not write a message')
  return new AtollError('UNAVAILABLE', `${engine} cannot be reached: ${message}`, { cause: thrown })
}

/**
 * The code by which RabbitMQ closed a channel or a connection: 404 for what is not there, 406 for what is there and is
 * different.
 */
export function codeOf(error: unknown): number | undefined {
  const cause = error instanceof AtollError ? error.cause : error
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'number' ? cause.code : undefined
}

/**
 * Whether RabbitMQ said that there is no such queue. It uses the same code for one that it has and cannot reach, as for
 * a moment after each start; the words tell them apart.
 */
export function isMissing(error: unknown): boolean {
  const cause = error instanceof AtollError ? error.cause : error
  return codeOf(error) === 404 && cause instanceof Error && cause.message.includes('no queue')
}

/** Whether RabbitMQ said that the node has no replica of a stream. */
export function isElsewhere(error: unknown): boolean {
  const cause = error instanceof AtollError ? error.cause : error
  return cause instanceof Error && cause.message.includes('replica on the local node')
}

/**
 * What went wrong, in its own words. Node gathers the failures at each address of a host under one error without a
 * message.
 */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(describe).join('; ')
  return error.message || error.name
}

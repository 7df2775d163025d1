import { AtollError } from '@atoll/host'
import { ErrorReply } from 'redis'

/** What Redis or its client said, as an AtollError that names the engine. What nobody expected becomes INTERNAL. */
export function toAtollError(thrown: unknown, engine: string): AtollError {
  if (thrown instanceof AtollError) return thrown
  if (thrown instanceof ErrorReply) return fromReply(thrown, engine)
  // The client's own errors are all about a connection that is not there or has gone, as are those of sockets.
  const why = thrown instanceof Error ? describe(thrown) : String(thrown)
  return new AtollError('UNAVAILABLE', `${engine} cannot be reached: ${why}`, { cause: thrown })
}

/** What Redis itself answered in place of a result; undefined for any other error. */
export function replyOf(error: unknown): string | undefined {
  return error instanceof AtollError && error.cause instanceof ErrorReply ? error.cause.message : undefined
}

function fromReply(reply: ErrorReply, engine: string): AtollError {
  const { message } = reply
  const says = (...codes: string[]): boolean => new RegExp(`(^|\\s)-?(${codes.join('|')})\\s`).test(message)
  const error = (code: 'UNAVAILABLE' | 'STORE_FULL' | 'STORE_CORRUPT', text: string): AtollError =>
    new AtollError(code, `${engine} ${text} (${message})`, { cause: reply })

  if (
    says('WRONGPASS', 'NOAUTH') ||
    message.includes('invalid password') ||
    message.includes('without any password configured')
  ) {
    return error('UNAVAILABLE', 'refuses the credentials: set the right user and password in the url')
  }
  if (says('NOPERM'))
    return error(
      'UNAVAILABLE',
      'denies this user what the log needs: grant it EVAL, DBSIZE, the stream commands, PUBLISH and SUBSCRIBE on atoll:*',
    )
  if (says('OOM')) return error('STORE_FULL', 'has no memory left under its maxmemory; raise it')
  if (says('MISCONF')) return error('STORE_FULL', 'takes no writes, because it cannot write them to its disk')
  if (says('READONLY')) return error('UNAVAILABLE', 'is a replica and takes no writes: name the primary in the url')
  if (says('NOREPLICAS')) return error('UNAVAILABLE', 'takes no writes, because too few replicas follow it')
  if (says('MOVED', 'ASK', 'CLUSTERDOWN', 'CROSSSLOT', 'TRYAGAIN'))
    return error(
      'UNAVAILABLE',
      'is a node of a Redis Cluster, which this log does not follow: use a primary with replicas',
    )
  if (says('LOADING', 'BUSY', 'MASTERDOWN')) return error('UNAVAILABLE', 'does not answer yet')
  if (says('WRONGTYPE'))
    return error('STORE_CORRUPT', 'holds something else under a name of the log; delete it, or use another system name')
  return new AtollError('INTERNAL', `${engine} refused a command of the log: ${message}`, { cause: reply })
}

/** Node gathers the failures at each address of a host under one error without a message. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each))).join('; ')
  return error.message || error.name
}

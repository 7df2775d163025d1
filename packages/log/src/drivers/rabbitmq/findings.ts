import type { Finding } from '@atoll/host'
import type { Managed } from './management.ts'

/** What is known of a stream besides what AMQP tells. */
export interface StreamView {
  readonly name: string
  readonly replicas: number
  /** What policies set for it. */
  readonly policy: Readonly<Record<string, unknown>>
}

/** How many replicas the stream with the fewest has; of one to come, as many as the cluster has nodes. */
export function leastReplicas({ streams, nodes }: Managed): number {
  return streams.length === 0 ? nodes : Math.min(...streams.map(({ replicas }) => replicas))
}

/** `managed` is what the management plugin told, or why it did not. */
export function aboutReplicas(managed: Managed | string): Finding {
  const name = 'rabbitmq.replicas'
  if (typeof managed === 'string') {
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message: `AMQP does not tell how many replicas a stream has, and ${managed}. Three are needed to survive a node`,
    }
  }
  const least = leastReplicas(managed)
  const few = managed.streams.filter(({ replicas }) => replicas < 3).map((stream) => stream.name)
  const value = `${least}${managed.streams.length === 0 ? ' for streams to come' : ''}`
  if (least >= 3)
    return { name, value, verdict: 'holds', message: 'a node may be lost: two others have what it had, and go on' }
  const where =
    few.length === 0
      ? 'the cluster has too few nodes'
      : `${few.slice(0, 3).join(', ')}${few.length > 3 ? ` and ${few.length - 3} more` : ''} have fewer than three, as what is made while a node is away`
  return {
    name,
    value,
    verdict: 'note',
    message: `a node that is lost takes events along, or stops appends: ${where}; add nodes, and replicas with rabbitmq-streams add_replica`,
  }
}

export function aboutPolicies(managed: Managed | string): Finding {
  const name = 'rabbitmq.policies'
  const ask =
    'make sure with rabbitmqctl list_policies that none gives streams named atoll/… a max-age or max-length-bytes, by which RabbitMQ deletes events that are still needed'
  if (typeof managed === 'string')
    return {
      name,
      value: 'unknown',
      verdict: 'unknown',
      message: `AMQP does not tell policies, and ${managed}; or ${ask}`,
    }
  const forgetful = managed.streams
    .filter(({ policy }) => 'max-age' in policy || 'max-length-bytes' in policy)
    .map((stream) => stream.name)
  if (forgetful.length > 0)
    return {
      name,
      value: forgetful.slice(0, 3).join(', '),
      verdict: 'breaks',
      message:
        'a policy gives these streams a max-age or max-length-bytes, by which RabbitMQ deletes events that are still needed; take it away',
    }
  if (managed.streams.length === 0)
    return {
      name,
      value: 'unknown',
      verdict: 'note',
      message: `there is no stream yet that a policy could apply to; ${ask}`,
    }
  return { name, value: 'none that deletes', verdict: 'holds', message: 'no policy deletes events of this system' }
}

import type { EngineName } from './url.ts'

/** What a system must be told of its log on one node that was started by us, beside its address. */
export interface OneNode {
  /** Of the configuration's `log`. */
  readonly log: { readonly replicas?: 1 }
  /** What `atoll doctor` finds and one node cannot mend; these data are for trying it. */
  readonly accept: readonly string[]
}

export const oneNode: Readonly<Record<EngineName, OneNode>> = {
  postgres: { log: {}, accept: [] },
  nats: { log: {}, accept: ['nats.sync-interval'] }, // nobody can ask, and ours waits for the disk
  kafka: { log: { replicas: 1 }, accept: [] },
  rabbitmq: { log: {}, accept: ['rabbitmq.fsync', 'rabbitmq.replicas', 'rabbitmq.policies'] },
  redis: { log: {}, accept: [] },
}

// For service authors.
export { event, upcast, type DataOf, type EventDefinition, type EventOptions, type Upcaster } from './contract/event.ts'
export {
  command,
  query,
  show,
  type Auth,
  type BoundOperation,
  type CommandOptions,
  type Consistency,
  type Operation,
  type OperationOptions,
  type Route,
  type Show,
} from './contract/operation.ts'
export { secret } from './contract/secret.ts'
export {
  contract,
  type AnyContract,
  type Contract,
  type ContractDefinition,
  type ErrorShape,
} from './contract/contract.ts'
export { service, type Handlers, type Service, type ServiceOptions } from './service/service.ts'
export { projection, type Projection, type ProjectionOptions } from './service/projection.ts'
export type { Subscribe, Subscriber } from './service/subscriber.ts'
export type {
  Call,
  Caller,
  CommandContext,
  Context,
  EventContext,
  Handler,
  ProjectionContext,
  QueryContext,
  ReceivedEvent,
  Transact,
  TransactionContext,
} from './service/context.ts'
export { system, type SeedContext, type System, type SystemOptions } from './system.ts'
export { conflict, forbidden, invalid, notFound, overloaded, stale, unauthenticated } from './refusals.ts'

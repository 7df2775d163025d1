// For service authors.
export { sqlStore, type StoreDefinition } from './definition.ts'

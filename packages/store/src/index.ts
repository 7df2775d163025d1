// For service authors.
export { sqlStore, type StoreDefinition } from './definition.ts'
export type { Migration, Migrations } from './driver.ts'
export { prepared, type Buildable, type Prepared } from './prepared.ts'
export { changeVersion, type VersionChange, type Versioned } from './version.ts'

// For the runtime.
export { assertExecuted, forgetUnexecuted } from './executed.ts'
export { createKysely, kyselyFor } from './kysely.ts'
export { notePlaces } from './places.ts'

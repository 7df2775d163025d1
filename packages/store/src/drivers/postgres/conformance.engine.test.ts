import { describe, it } from 'node:test'
import { testStores } from '../../conformance.ts'
import { createPostgresHarness } from '../../../test/postgres-harness.ts'

testStores('stores in PostgreSQL', { describe, it }, createPostgresHarness())

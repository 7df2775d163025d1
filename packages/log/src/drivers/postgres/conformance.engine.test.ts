import { describe, it } from 'node:test'
import { testLog } from '../../conformance.ts'
import { createPostgresHarness } from '../../../test/postgres/harness.ts'

testLog('a PostgreSQL log', { describe, it }, createPostgresHarness())
testLog(
  'a PostgreSQL log with small statements and one connection',
  { describe, it },
  createPostgresHarness({ statementBytesMax: 100, commitRecordsMax: 7, connectionsMax: 1 }),
)

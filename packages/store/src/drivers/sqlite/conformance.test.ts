import { describe, it } from 'node:test'
import { createSqliteHarness } from '../../../test/sqlite-harness.ts'
import { testStores } from '../../conformance.ts'

testStores('SQLite files', { describe, it }, createSqliteHarness('files'))
testStores('SQLite in memory', { describe, it }, createSqliteHarness('memory'))
testStores('SQLite in memory, kept', { describe, it }, createSqliteHarness('kept-in-memory'))

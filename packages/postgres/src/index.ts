// For Atoll's own drivers that keep their data in PostgreSQL.
export { examinePostgres, type Need } from './examine.ts'
export { isConflict, sqlStateOf, toAtollError } from './errors.ts'
export { listen, type Listening } from './listen.ts'
export { openPool, type Pool, type PoolOptions } from './pool.ts'
export type { Client, Param, Result, Row, Value } from './client.ts'
export { quoteIdentifier, quoteLiteral } from './quote.ts'
export { int4Array, int8Array, textArray } from './arrays.ts'
export { fromStorable, toStorable } from './text.ts'

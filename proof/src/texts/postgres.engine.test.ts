import { describe, it } from 'node:test'
import { onPostgres } from '../postgres.ts'
import { walk } from './walk.ts'

describe('what is no text for a store, over PostgreSQL', () => {
  it('is refused as what its client did, wherever it is sent, and blocks nothing', () =>
    onPostgres(({ stores }) => walk(stores)))
})

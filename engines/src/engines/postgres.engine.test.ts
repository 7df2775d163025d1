import { Client } from 'pg'
import { keepsItsPromises } from '../../test/promises.ts'

keepsItsPromises('postgres', {
  async add(url) {
    await query(url, 'create table if not exists records (text text not null)')
    await query(url, `insert into records values ('one')`)
  },
  async count(url) {
    const [row] = await query(url, 'select count(*)::int as count from records')
    return row!['count'] as number // one row, as the statement says
  },
})

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

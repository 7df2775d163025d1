import type { StoredRecord } from '@atoll/log/driver'
import type { Pool } from '@atoll/postgres'
import conduit from '../conduit/system.ts'
import type { SeenArticle } from '../crash/stores.ts'
import type { Cluster } from './cluster.ts'
import { openLog, PARTITIONS } from './engines.ts'

// Looks into the log of a system that runs and is quiet, and the stores of a Conduit, from outside.

export interface Logged {
  /** Id of a request → how many events name it as their cause. */
  readonly causes: ReadonlyMap<string, number>
  /** How many events there are of each type. */
  readonly types: ReadonlyMap<string, number>
  /** Holes, events that are there twice, or out of order, in words. */
  readonly findings: readonly string[]
}

/** Reads the whole log of a system: each number once, as readers do. */
export async function readLog({ app: { system }, engines, log: name }: Cluster): Promise<Logged> {
  const log = await openLog(name, engines.log.engine.url, system.name)
  const causes = new Map<string, number>()
  const types = new Map<string, number>()
  const findings: string[] = []
  const ids = new Map<string, string>()
  try {
    for (const { name: source } of system.services) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        let last = 0
        let order = ''
        for await (const record of recordsOf((after) => log.read(source, partition, after, 1_000))) {
          if (record.number <= last) continue
          const place = `${source}/${partition}/${record.number}`
          if (record.number !== last + 1) findings.push(`the log has a hole before ${place}`)
          if (order.length > record.order.length || (order.length === record.order.length && order >= record.order))
            findings.push(`${place} is out of the order of commits`)
          if (ids.has(record.id)) findings.push(`${place} is the event that ${ids.get(record.id)} is`)
          ids.set(record.id, place)
          last = record.number
          order = record.order
          types.set(record.type, (types.get(record.type) ?? 0) + 1)
          if (record.cause.startsWith('op-')) causes.set(record.cause, (causes.get(record.cause) ?? 0) + 1)
        }
      }
    }
  } finally {
    await log.close()
  }
  return { causes, types, findings: findings.slice(0, 5) }
}

async function* recordsOf(read: (after: string | null) => Promise<StoredRecord[]>): AsyncGenerator<StoredRecord> {
  for (let after: string | null = null; ;) {
    const records = await read(after)
    if (records.length === 0) return
    yield* records
    after = records.at(-1)!.offset
  }
}

export interface SeenStores {
  readonly registers: ReadonlyMap<string, readonly string[]>
  readonly contradictions: readonly string[]
  readonly articles: readonly SeenArticle[]
  readonly tags: readonly string[]
}

/** What the services' stores hold, read by the administrator, who alone can see them all. */
export async function look(pool: Pool): Promise<SeenStores> {
  const all = async <Row>(sql: string): Promise<Row[]> => (await pool.query<Row>(sql)).rows
  const registers = new Map<string, string[]>()
  for (const { register, value } of await all<{ register: string; value: string }>(selectRegisters))
    registers.set(register, [...(registers.get(register) ?? []), value])
  const found: string[] = []
  for (const [what, sql] of contradictions)
    for (const row of (await all(sql)).slice(0, 3)) found.push(`${what}: ${JSON.stringify(row)}`)
  return {
    registers,
    articles: await all<SeenArticle>(selectArticles),
    tags: (await all<{ tag: string }>(selectTags)).map(({ tag }) => tag),
    contradictions: found,
  }
}

const table = (store: string, name: string): string => `"${conduit.name}_${store}".${name}`
const [articles, comments, favorites, follows, users] = [
  table('articles', 'articles'),
  table('comments', 'comments'),
  table('favorites', 'favorites'),
  table('profiles', 'follows'),
  table('identity', 'users'),
]
const page = (name: string): string => table('reading.pages.1', name)

const selectRegisters = `
  SELECT 'article:' || title AS register, description AS value FROM ${articles} WHERE title LIKE 'crash %'
  UNION ALL SELECT 'comment:' || coalesce(a.title, '?') || ':' || c.body, c.body FROM ${comments} c LEFT JOIN ${articles} a USING (article_id) WHERE c.body LIKE 'op-%'
  UNION ALL SELECT 'favorite:' || coalesce(a.title, '?') || ':' || u.username, 'yes' FROM ${favorites} f JOIN ${users} u USING (user_id) LEFT JOIN ${articles} a USING (article_id) WHERE u.username LIKE 'crash%'
  UNION ALL SELECT 'follow:' || a.username || ':' || b.username, 'yes' FROM ${follows} f JOIN ${users} a ON a.user_id = f.follower_id JOIN ${users} b ON b.user_id = f.followee_id WHERE a.username LIKE 'crash%'`

const selectArticles = `
  SELECT slug, description, tag_list AS "tagList", (SELECT count(*) FROM ${favorites} f WHERE f.article_id = a.article_id) AS favorites,
    (SELECT count(*) FROM ${comments} c WHERE c.article_id = a.article_id) AS comments
  FROM ${articles} a ORDER BY created_at DESC, article_id DESC`

const selectTags = `SELECT value COLLATE "C" AS tag FROM ${articles}, jsonb_array_elements_text(tag_list::jsonb) AS value GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 100`

/** Each finds nothing in stores that fit together. */
const contradictions: readonly (readonly [what: string, sql: string])[] = [
  ...both(
    'article',
    `SELECT article_id, slug, author_id, title, description, body, tag_list, created_at, updated_at FROM ${articles}`,
    `SELECT article_id, slug, author_id, title, description, body, tag_list, created_at, updated_at FROM ${page('articles')}`,
  ),
  ...both(
    'comment',
    `SELECT comment_id, article_id, author_id, body, created_at FROM ${comments}`,
    `SELECT comment_id, article_id, author_id, body, created_at FROM ${page('comments')}`,
  ),
  ...both(
    'favorite',
    `SELECT article_id, user_id FROM ${favorites}`,
    `SELECT article_id, user_id FROM ${page('favorites')}`,
  ),
  ...both(
    'follow',
    `SELECT follower_id, followee_id FROM ${follows}`,
    `SELECT follower_id, followee_id FROM ${page('follows')}`,
  ),
  ...both(
    'user',
    `SELECT user_id, username, bio, image FROM ${users}`,
    `SELECT user_id, username, bio, image FROM ${page('users')}`,
  ),
  ...both(
    'user in profiles',
    `SELECT user_id, username, bio, image FROM ${users}`,
    `SELECT user_id, username, bio, image FROM ${table('profiles', 'users')}`,
  ),
  ...both(
    'article in comments',
    `SELECT article_id, slug FROM ${articles}`,
    `SELECT article_id, slug FROM ${table('comments', 'articles')}`,
  ),
  ...both(
    'article in favorites',
    `SELECT article_id, slug FROM ${articles}`,
    `SELECT article_id, slug FROM ${table('favorites', 'articles')}`,
  ),
  ...both(
    'count of favorites',
    `SELECT article_id, (SELECT count(*) FROM ${favorites} f WHERE f.article_id = a.article_id) FROM ${articles} a`,
    `SELECT article_id, favorites_count FROM ${page('articles')}`,
  ),
]

/** The rows of each that the other has not. */
function both(what: string, said: string, shown: string): [string, string][] {
  return [
    [`${what} that is not shown`, `SELECT * FROM (${said}) AS said EXCEPT SELECT * FROM (${shown}) AS shown`],
    [`${what} that is shown and is not`, `SELECT * FROM (${shown}) AS shown EXCEPT SELECT * FROM (${said}) AS said`],
  ]
}

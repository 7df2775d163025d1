import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Observed } from './history.ts'

// Looks into the files of a Conduit that runs and is quiet, through another SQLite than the one that wrote them.

export interface Seen extends Observed {
  /** What does not fit together between the files, in words. */
  readonly contradictions: readonly string[]
  /** Events in the log, by type. */
  readonly logged: ReadonlyMap<string, number>
  /** Newest first, as lists show them. */
  readonly articles: readonly SeenArticle[]
  readonly tags: readonly string[]
}

export interface SeenArticle {
  readonly slug: string
  readonly description: string
  readonly tagList: string
  readonly favorites: number
  readonly comments: number
}

export function look(data: string): Seen {
  const database = new DatabaseSync(join(data, 'articles.db'), { readOnly: true })
  try {
    for (const name of ['comments', 'favorites', 'profiles', 'identity', 'log'])
      database.exec(`ATTACH '${join(data, `${name}.db`)}' AS ${name}`)
    const pages = readdirSync(data).find((name) => /^reading\.pages\.\d+\.db$/.test(name))!
    database.exec(`ATTACH '${join(data, pages)}' AS pages`)
    // The columns are those that the queries name.
    const all = <Row>(sql: string): Row[] => database.prepare(sql).all() as Row[]
    const registers = new Map<string, string[]>()
    for (const { register, value } of all<{ register: string; value: string }>(selectRegisters))
      registers.set(register, [...(registers.get(register) ?? []), value])
    return {
      registers,
      events: new Map(
        all<{ cause: string; count: number }>(
          `SELECT cause, count(*) AS count FROM log.records WHERE cause LIKE 'op-%' GROUP BY cause`,
        ).map(({ cause, count }) => [cause, count]),
      ),
      logged: new Map(
        all<{ type: string; count: number }>('SELECT type, count(*) AS count FROM log.records GROUP BY type').map(
          ({ type, count }) => [type, count],
        ),
      ),
      articles: all<SeenArticle>(selectArticles),
      tags: all<{ tag: string }>(selectTags).map(({ tag }) => tag),
      contradictions: contradictions.flatMap(([what, sql]) =>
        all(sql)
          .slice(0, 3)
          .map((row) => `${what}: ${JSON.stringify(row)}`),
      ),
    }
  } finally {
    database.close()
  }
}

const selectRegisters = `
  SELECT 'article:' || title AS register, description AS value FROM main.articles WHERE title LIKE 'crash %'
  UNION ALL SELECT 'comment:' || coalesce(a.title, '?') || ':' || c.body, c.body FROM comments.comments c LEFT JOIN main.articles a USING (article_id) WHERE c.body LIKE 'op-%'
  UNION ALL SELECT 'favorite:' || coalesce(a.title, '?') || ':' || u.username, 'yes' FROM favorites.favorites f JOIN identity.users u USING (user_id) LEFT JOIN main.articles a USING (article_id) WHERE u.username LIKE 'crash%'
  UNION ALL SELECT 'follow:' || a.username || ':' || b.username, 'yes' FROM profiles.follows f JOIN identity.users a ON a.user_id = f.follower_id JOIN identity.users b ON b.user_id = f.followee_id WHERE a.username LIKE 'crash%'`

const selectArticles = `
  SELECT slug, description, tag_list AS tagList, (SELECT count(*) FROM favorites.favorites f WHERE f.article_id = a.article_id) AS favorites,
    (SELECT count(*) FROM comments.comments c WHERE c.article_id = a.article_id) AS comments
  FROM main.articles a ORDER BY created_at DESC, article_id DESC`

const selectTags = `SELECT value AS tag FROM main.articles, json_each(tag_list) GROUP BY value ORDER BY count(*) DESC, value LIMIT 100`

/** Each finds nothing in files that fit together. */
const contradictions: readonly (readonly [what: string, sql: string])[] = [
  ...both(
    'article',
    'SELECT article_id, slug, author_id, title, description, body, tag_list, created_at, updated_at FROM main.articles',
    'SELECT article_id, slug, author_id, title, description, body, tag_list, created_at, updated_at FROM pages.articles',
  ),
  ...both(
    'comment',
    'SELECT comment_id, article_id, author_id, body, created_at FROM comments.comments',
    'SELECT comment_id, article_id, author_id, body, created_at FROM pages.comments',
  ),
  ...both(
    'favorite',
    'SELECT article_id, user_id FROM favorites.favorites',
    'SELECT article_id, user_id FROM pages.favorites',
  ),
  ...both(
    'follow',
    'SELECT follower_id, followee_id FROM profiles.follows',
    'SELECT follower_id, followee_id FROM pages.follows',
  ),
  ...both(
    'user',
    'SELECT user_id, username, bio, image FROM identity.users',
    'SELECT user_id, username, bio, image FROM pages.users',
  ),
  ...both(
    'user in profiles',
    'SELECT user_id, username, bio, image FROM identity.users',
    'SELECT user_id, username, bio, image FROM profiles.users',
  ),
  ...both(
    'article in comments',
    'SELECT article_id, slug FROM main.articles',
    'SELECT article_id, slug FROM comments.articles',
  ),
  ...both(
    'article in favorites',
    'SELECT article_id, slug FROM main.articles',
    'SELECT article_id, slug FROM favorites.articles',
  ),
  ...both(
    'count of favorites',
    'SELECT article_id, (SELECT count(*) FROM favorites.favorites f WHERE f.article_id = a.article_id) FROM main.articles a',
    'SELECT article_id, favorites_count FROM pages.articles',
  ),
  ...both(
    'tag',
    'SELECT value, created_at, article_id FROM main.articles, json_each(tag_list)',
    'SELECT tag, created_at, article_id FROM pages.article_tags',
  ),
  ...both(
    'count',
    `SELECT value, count(*) FROM main.articles, json_each(tag_list) GROUP BY value UNION SELECT '', count(*) FROM main.articles`,
    `SELECT tag, count FROM pages.counts WHERE count <> 0`,
  ),
  [
    'numbers of the log with gaps',
    'SELECT source, partition, count(*) AS records, max(number) AS last FROM log.events GROUP BY source, partition HAVING count(*) <> max(number)',
  ],
  ['event twice in the log', 'SELECT id, count(*) AS times FROM log.records GROUP BY id HAVING count(*) > 1'],
  [
    'demo articles',
    `SELECT count(*) AS count FROM main.articles WHERE title NOT LIKE 'crash %' HAVING count(*) <> 200`,
  ],
  ['demo users', `SELECT count(*) AS count FROM identity.users WHERE username NOT LIKE 'crash%' HAVING count(*) <> 20`],
  [
    'demo comments',
    `SELECT count(*) AS count FROM comments.comments WHERE body NOT LIKE 'op-%' HAVING count(*) <> 300`,
  ],
]

/** The rows of each that the other has not. */
function both(what: string, said: string, shown: string): [string, string][] {
  return [
    [`${what} that is not shown`, `SELECT * FROM (${said}) EXCEPT SELECT * FROM (${shown})`],
    [`${what} that is shown and is not`, `SELECT * FROM (${shown}) EXCEPT SELECT * FROM (${said})`],
  ]
}

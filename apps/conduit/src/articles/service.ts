import { sqlStore } from '@atoll/store'
import { forbidden, notFound, service, stale } from 'atoll'
import type { Kysely } from 'kysely'
import { requireSome } from '../realworld.ts'
import { articleDeleted, articleEdited, articlePublished, articles } from './contract.ts'
import { toSlug } from './slug.ts'

interface ArticleTables {
  articles: {
    article_id: string
    slug: string
    author_id: string
    title: string
    description: string
    body: string
    /** A JSON array, in the order in which the author gave them. */
    tag_list: string
    created_at: string
    /** Also the version that ETag and If-Match speak of; it rises with each edit. */
    updated_at: string
  }
}
type Row = ArticleTables['articles']

const store = sqlStore<ArticleTables>({
  migrations: {
    '0001-articles': `
      CREATE TABLE articles (
        article_id TEXT PRIMARY KEY,
        slug TEXT NOT NULL UNIQUE,
        author_id TEXT NOT NULL,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        body TEXT NOT NULL,
        tag_list TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
      ) STRICT;
    `,
  },
})

export default service(articles, {
  store,
  handlers: {
    publish: ({ input: { article }, caller, tx, newId, now }) =>
      tx(async ({ db, emit }) => {
        const { title, description, body, tagList } = article
        const articleId = newId()
        const at = new Date(now()).toISOString()
        const row: Row = {
          article_id: articleId,
          slug: await freeSlug(db, title, articleId),
          author_id: caller.id,
          title,
          description,
          body,
          tag_list: toTagList(tagList),
          created_at: at,
          updated_at: at,
        }
        await db.insertInto('articles').values(row).execute()
        emit(articlePublished, toEvent(row))
        return { slug: row.slug, updatedAt: at }
      }),

    edit: ({ input: { slug, article }, caller, ifMatch, tx, now }) =>
      tx(async ({ db, emit }) => {
        requireSome('article', article)
        const before = await articleOf(db, slug, caller.id)
        if (ifMatch !== undefined && ifMatch !== before.updated_at) throw stale('article', before.updated_at)
        const { title, description, body, tagList } = article
        // Readers hold versions by this time, so it rises even if the clock does not.
        const updatedAt = new Date(Math.max(now(), Date.parse(before.updated_at) + 1)).toISOString()
        const row = await db
          .updateTable('articles')
          .set({ title, description, body, tag_list: tagList && toTagList(tagList), updated_at: updatedAt })
          .where('article_id', '=', before.article_id)
          .returningAll()
          .executeTakeFirstOrThrow()
        emit(articleEdited, toEvent(row))
        return { slug, updatedAt }
      }),

    async delete({ input: { slug }, caller, tx }) {
      await tx(async ({ db, emit }) => {
        const { article_id } = await articleOf(db, slug, caller.id)
        await db.deleteFrom('articles').where('article_id', '=', article_id).execute()
        emit(articleDeleted, { articleId: article_id })
      })
    },
  },
})

/** The article of that slug, if it is the caller's to change. */
async function articleOf(db: Kysely<ArticleTables>, slug: string, callerId: string): Promise<Row> {
  const row = await db.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
  if (!row) throw notFound('article')
  if (row.author_id !== callerId) throw forbidden('article')
  return row
}

/**
 * The slug of a title; with a piece of the id behind it if another article has it. Inside a transaction nobody can come
 * between.
 */
async function freeSlug(db: Kysely<ArticleTables>, title: string, articleId: string): Promise<string> {
  const slug = toSlug(title) || 'article'
  if (reserved.has(slug)) return `${slug}-${articleId.slice(-12)}`
  const taken = await db.selectFrom('articles').select('article_id').where('slug', '=', slug).executeTakeFirst()
  return taken ? `${slug}-${articleId.slice(-12)}` : slug
}

/** What stands in the place of a slug in other routes: `GET /articles/feed`. */
const reserved: ReadonlySet<string> = new Set(['feed'])

/** Each tag once, in alphabetical order, as RealWorld has it. */
function toTagList(tags: readonly string[]): string {
  return JSON.stringify([...new Set(tags)].sort())
}

function toEvent(row: Row) {
  const { article_id, slug, author_id, title, description, body, tag_list, created_at, updated_at } = row
  const tagList = JSON.parse(tag_list) as string[] // written above
  return {
    articleId: article_id,
    slug,
    authorId: author_id,
    title,
    description,
    body,
    tagList,
    createdAt: created_at,
    updatedAt: updated_at,
  }
}

import type { Migrations } from '@atoll/store'
import { notFound, type DataOf } from 'atoll'
import type { Kysely } from 'kysely'
import type { articlePublished } from './contract.ts'

/**
 * What comments and favorites need to know of articles, each in a table of its own: that they are there, and their ids.
 */
export interface ArticleReplica {
  articles: { article_id: string; slug: string }
}

export const replicaOfArticles: Migrations = {
  '0000-articles': `
    CREATE TABLE articles (article_id TEXT PRIMARY KEY, slug TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX articles_slug ON articles (slug);
  `,
}

export async function addArticle(
  db: Kysely<ArticleReplica>,
  { articleId, slug }: DataOf<typeof articlePublished>,
): Promise<void> {
  await db.insertInto('articles').values({ article_id: articleId, slug }).execute()
}

export async function removeArticle(db: Kysely<ArticleReplica>, articleId: string): Promise<void> {
  await db.deleteFrom('articles').where('article_id', '=', articleId).execute()
}

/** NOT_FOUND if there is no article of that slug, or none yet. */
export async function articleIdOf(db: Kysely<ArticleReplica>, slug: string): Promise<string> {
  const article = await db.selectFrom('articles').select('article_id').where('slug', '=', slug).executeTakeFirst()
  if (!article) throw notFound('article')
  return article.article_id
}

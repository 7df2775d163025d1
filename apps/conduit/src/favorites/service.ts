import { sqlStore } from '@atoll/store'
import { notFound, service } from 'atoll'
import type { Kysely } from 'kysely'
import { articleDeleted, articlePublished } from '../articles/contract.ts'
import { replicaOfArticles, type ArticleReplica } from '../articles/replica.ts'
import { articleFavorited, articleUnfavorited, favorites } from './contract.ts'

interface FavoriteTables extends ArticleReplica {
  favorites: { article_id: string; user_id: string }
}

const store = sqlStore<FavoriteTables>({
  migrations: {
    ...replicaOfArticles,
    '0001-favorites': `
      CREATE TABLE favorites (article_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (article_id, user_id)) STRICT, WITHOUT ROWID;
    `,
  },
})

export default service(favorites, {
  store,
  subscribe: ({ project }) => [
    project(articlePublished, ({ data: { articleId, slug } }, { db }) => db.insertInto('articles').values({ article_id: articleId, slug }).execute()),
    project(articleDeleted, async ({ data: { articleId } }, { db }) => {
      await db.deleteFrom('articles').where('article_id', '=', articleId).execute()
      await db.deleteFrom('favorites').where('article_id', '=', articleId).execute()
    }),
  ],
  handlers: {
    favorite: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, input.slug)
        const row = { article_id: articleId, user_id: caller.id }
        const { numInsertedOrUpdatedRows } = await db.insertInto('favorites').values(row).onConflict((known) => known.doNothing()).executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows) emit(articleFavorited, { articleId, userId: caller.id })
        return { favorited: true }
      }),

    unfavorite: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, input.slug)
        const { numDeletedRows } = await db.deleteFrom('favorites').where('article_id', '=', articleId).where('user_id', '=', caller.id).executeTakeFirstOrThrow()
        if (numDeletedRows) emit(articleUnfavorited, { articleId, userId: caller.id })
        return { favorited: false }
      }),
  },
})

async function articleIdOf(db: Kysely<FavoriteTables>, slug: string): Promise<string> {
  const article = await db.selectFrom('articles').select('article_id').where('slug', '=', slug).executeTakeFirst()
  if (!article) throw notFound('article')
  return article.article_id
}

import { sqlStore } from '@atoll/store'
import { service } from 'atoll'
import { articleDeleted, articlePublished } from '../articles/contract.ts'
import { addArticle, articleIdOf, removeArticle, replicaOfArticles, type ArticleReplica } from '../articles/replica.ts'
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
    project(articlePublished, ({ data }, { db }) => addArticle(db, data)),
    project(articleDeleted, async ({ data: { articleId } }, { db }) => {
      await removeArticle(db, articleId)
      await db.deleteFrom('favorites').where('article_id', '=', articleId).execute()
    }),
  ],
  handlers: {
    favorite: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, input.slug)
        const row = { article_id: articleId, user_id: caller.id }
        const { numInsertedOrUpdatedRows } = await db
          .insertInto('favorites')
          .values(row)
          .onConflict((known) => known.doNothing())
          .executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows) emit(articleFavorited, { articleId, userId: caller.id })
        return { favorited: true }
      }),

    unfavorite: ({ input, caller, tx }) =>
      tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, input.slug)
        const { numDeletedRows } = await db
          .deleteFrom('favorites')
          .where('article_id', '=', articleId)
          .where('user_id', '=', caller.id)
          .executeTakeFirstOrThrow()
        if (numDeletedRows) emit(articleUnfavorited, { articleId, userId: caller.id })
        return { favorited: false }
      }),
  },
})

import { projection } from 'atoll'
import type { Kysely } from 'kysely'
import { articleDeleted, articleEdited, articlePublished } from '../articles/contract.ts'
import { commentDeleted, commentPosted } from '../comments/contract.ts'
import { articleFavorited, articleUnfavorited } from '../favorites/contract.ts'
import { replicateUsers } from '../identity/replica.ts'
import { userFollowed, userUnfollowed } from '../profiles/contract.ts'
import { pageStore, type PageTables } from './tables.ts'

/**
 * The pages, from the events of five services. Events of one source and key come in order; between sources there is
 * none: a favorite may be seen before its article, a comment after the article is gone. So rows stand by themselves,
 * queries join them, and what is gone leaves a mark behind.
 */
export const pages = projection('pages', {
  store: pageStore,
  subscribe: ({ project }) => [
    ...replicateUsers(project),

    project(userFollowed, ({ data }, { db }) =>
      db
        .insertInto('follows')
        .values({ follower_id: data.followerId, followee_id: data.followeeId })
        .onConflict((known) => known.doNothing())
        .execute(),
    ),
    project(userUnfollowed, ({ data }, { db }) =>
      db
        .deleteFrom('follows')
        .where('follower_id', '=', data.followerId)
        .where('followee_id', '=', data.followeeId)
        .execute(),
    ),

    project(articlePublished, async ({ data }, { db }) => {
      const { articleId, slug, authorId, title, description, body, tagList, createdAt, updatedAt } = data
      const { count } = await db
        .selectFrom('favorites')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('article_id', '=', articleId)
        .executeTakeFirstOrThrow()
      await db
        .insertInto('articles')
        .values({
          article_id: articleId,
          slug,
          author_id: authorId,
          title,
          description,
          body,
          tag_list: JSON.stringify(tagList),
          created_at: createdAt,
          updated_at: updatedAt,
          favorites_count: count,
        })
        .execute()
      await addCount(db, '', 1)
      await addTags(db, articleId, createdAt, tagList)
    }),
    project(articleEdited, async ({ data }, { db }) => {
      const { articleId, title, description, body, tagList, createdAt, updatedAt } = data
      await removeTags(db, articleId)
      await addTags(db, articleId, createdAt, tagList)
      await db
        .updateTable('articles')
        .set({ title, description, body, tag_list: JSON.stringify(tagList), updated_at: updatedAt })
        .where('article_id', '=', articleId)
        .execute()
    }),
    project(articleDeleted, async ({ data: { articleId } }, { db }) => {
      await db.insertInto('gone').values({ article_id: articleId }).execute()
      await removeTags(db, articleId)
      await addCount(db, '', -1)
      for (const table of ['articles', 'favorites', 'comments'] as const)
        await db.deleteFrom(table).where('article_id', '=', articleId).execute()
    }),

    project(articleFavorited, async ({ data: { articleId, userId } }, { db }) => {
      if (await isGone(db, articleId)) return
      await db.insertInto('favorites').values({ user_id: userId, article_id: articleId }).execute()
      await addFavorites(db, articleId, 1)
    }),
    project(articleUnfavorited, async ({ data: { articleId, userId } }, { db }) => {
      if (await isGone(db, articleId)) return
      await db.deleteFrom('favorites').where('user_id', '=', userId).where('article_id', '=', articleId).execute()
      await addFavorites(db, articleId, -1)
    }),

    project(commentPosted, async ({ data: { commentId, articleId, authorId, body, createdAt } }, { db }) => {
      if (await isGone(db, articleId)) return
      await db
        .insertInto('comments')
        .values({ comment_id: commentId, article_id: articleId, author_id: authorId, body, created_at: createdAt })
        .execute()
    }),
    project(commentDeleted, ({ data: { commentId } }, { db }) =>
      db.deleteFrom('comments').where('comment_id', '=', commentId).execute(),
    ),
  ],
})

async function isGone(db: Kysely<PageTables>, articleId: string): Promise<boolean> {
  return (
    (await db.selectFrom('gone').select('article_id').where('article_id', '=', articleId).executeTakeFirst()) !==
    undefined
  )
}

async function addFavorites(db: Kysely<PageTables>, articleId: string, by: 1 | -1): Promise<void> {
  await db
    .updateTable('articles')
    .set((columns) => ({ favorites_count: columns('favorites_count', '+', by) }))
    .where('article_id', '=', articleId)
    .execute()
}

async function addTags(
  db: Kysely<PageTables>,
  articleId: string,
  createdAt: string,
  tags: readonly string[],
): Promise<void> {
  for (const tag of tags) {
    await db.insertInto('article_tags').values({ tag, created_at: createdAt, article_id: articleId }).execute()
    await addCount(db, tag, 1)
  }
}

async function removeTags(db: Kysely<PageTables>, articleId: string): Promise<void> {
  const removed = await db.deleteFrom('article_tags').where('article_id', '=', articleId).returning('tag').execute()
  for (const { tag } of removed) await addCount(db, tag, -1)
}

async function addCount(db: Kysely<PageTables>, tag: string, by: 1 | -1): Promise<void> {
  await db
    .insertInto('counts')
    .values({ tag, count: by })
    .onConflict((known) => known.column('tag').doUpdateSet((columns) => ({ count: columns('counts.count', '+', by) })))
    .execute()
}

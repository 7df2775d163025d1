import { sqlStore } from '@atoll/store'
import { forbidden, notFound, service } from 'atoll'
import { articleDeleted, articlePublished } from '../articles/contract.ts'
import { addArticle, articleIdOf, removeArticle, replicaOfArticles, type ArticleReplica } from '../articles/replica.ts'
import { commentDeleted, commentPosted, comments } from './contract.ts'

interface CommentTables extends ArticleReplica {
  comments: { comment_id?: number; article_id: string; author_id: string; body: string; created_at: string }
}

const store = sqlStore<CommentTables>({
  migrations: {
    ...replicaOfArticles,
    '0001-comments': `
      CREATE TABLE comments (
        comment_id INTEGER PRIMARY KEY AUTOINCREMENT,
        article_id TEXT NOT NULL,
        author_id TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
      ) STRICT;
      CREATE INDEX comments_article ON comments (article_id);
    `,
  },
})

export default service(comments, {
  store,
  subscribe: ({ project }) => [
    project(articlePublished, ({ data }, { db }) => addArticle(db, data)),
    project(articleDeleted, async ({ data: { articleId } }, { db }) => {
      await removeArticle(db, articleId)
      await db.deleteFrom('comments').where('article_id', '=', articleId).execute()
    }),
  ],
  handlers: {
    post: ({ input: { slug, comment }, caller, tx, now }) =>
      tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, slug)
        const createdAt = new Date(now()).toISOString()
        const { comment_id } = await db
          .insertInto('comments')
          .values({ article_id: articleId, author_id: caller.id, body: comment.body, created_at: createdAt })
          .returning('comment_id')
          .executeTakeFirstOrThrow()
        const id = comment_id! // the primary key
        emit(commentPosted, { commentId: id, articleId, authorId: caller.id, body: comment.body, createdAt })
        return { id }
      }),

    async delete({ input: { slug, id }, caller, tx }) {
      await tx(async ({ db, emit }) => {
        const articleId = await articleIdOf(db, slug)
        const comment = await db
          .selectFrom('comments')
          .select('author_id')
          .where('comment_id', '=', id)
          .where('article_id', '=', articleId)
          .executeTakeFirst()
        if (!comment) throw notFound('comment')
        if (comment.author_id !== caller.id) throw forbidden('comment')
        await db.deleteFrom('comments').where('comment_id', '=', id).execute()
        emit(commentDeleted, { commentId: id, articleId })
      })
    },
  },
})

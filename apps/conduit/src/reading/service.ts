import { notFound, service } from 'atoll'
import { reading } from './contract.ts'
import { pages } from './pages.ts'
import { findArticle, findComment, findComments, findUserId, listArticles, listTags } from './queries.ts'

const none = { articles: [], articlesCount: 0 }

export default service(reading, {
  projections: [pages],
  handlers: {
    async article({ input, caller, db }) {
      const article = await findArticle(db, input.slug, caller?.id)
      if (!article) throw notFound('article')
      return { article }
    },

    async list({ input: { limit, offset, ...named }, caller, db }) {
      // clients send `?tag=` for any
      const [tag, author, favorited] = [named.tag, named.author, named.favorited].map((name) => name || undefined)
      const authorId = author === undefined ? undefined : await findUserId(db, author)
      const favoritedBy = favorited === undefined ? undefined : await findUserId(db, favorited)
      const namesNobody =
        (author !== undefined && authorId === undefined) || (favorited !== undefined && favoritedBy === undefined)
      return namesNobody ? none : listArticles(db, { tag, authorId, favoritedBy, limit, offset }, caller?.id)
    },

    feed: ({ input: { limit, offset }, caller, db }) =>
      listArticles(db, { feedOf: caller.id, limit, offset }, caller.id),

    async comments({ input, caller, db }) {
      const comments = await findComments(db, input.slug, input, caller?.id)
      if (!comments) throw notFound('article')
      return { comments }
    },

    async comment({ input, caller, db }) {
      const comment = await findComment(db, input.id, caller?.id)
      if (!comment) throw notFound('comment')
      return { comment }
    },

    tags: async ({ db }) => ({ tags: await listTags(db) }),
  },
})

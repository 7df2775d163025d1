import { contract, query } from 'atoll'
import { z } from 'zod'
import { Article, ArticleSummary, BySlug, Comment, errors } from '../realworld.ts'

/** No more than this on a page, whatever is asked for. */
export const LIMIT_MAX = 100

/** A page of a list; `limitDefault` is how much of it those get who do not say. */
const pageOf = (limitDefault: number) =>
  z.object({
    limit: z.coerce.number().int('must be a whole number').min(1, 'must be at least 1').default(limitDefault),
    offset: z.coerce.number().int('must be a whole number').min(0, 'must not be negative').default(0),
  })
const Page = pageOf(20)
const Articles = z.object({ articles: z.array(ArticleSummary), articlesCount: z.int() })

/** Everything that people read: lists, feeds, article pages, tags. Built from the events of all the others. */
export const reading = contract('reading', {
  errors,
  article: query({
    http: 'GET /articles/:slug',
    auth: 'optional',
    input: BySlug,
    output: z.object({ article: Article }),
    etag: ({ article }) => article.updatedAt,
  }),
  list: query({
    http: 'GET /articles',
    auth: 'optional',
    input: Page.extend({ tag: z.string().optional(), author: z.string().optional(), favorited: z.string().optional() }),
    output: Articles,
  }),
  feed: query({ http: 'GET /articles/feed', auth: 'user', input: Page, output: Articles }),
  // RealWorld's clients ask for no page, and show what they get: so that is as much as there may be on one.
  comments: query({
    http: 'GET /articles/:slug/comments',
    auth: 'optional',
    input: BySlug.extend(pageOf(LIMIT_MAX).shape),
    output: z.object({ comments: z.array(Comment) }),
  }),
  comment: query({ auth: 'optional', input: z.object({ id: z.int() }), output: z.object({ comment: Comment }) }),
  tags: query({
    http: 'GET /tags',
    auth: 'none',
    input: z.object({}),
    output: z.object({ tags: z.array(z.string()) }),
  }),
})

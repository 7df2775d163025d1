import { command, contract, event, show } from 'atoll'
import { z } from 'zod'
import { BySlug, errors, filled } from '../realworld.ts'
import { reading } from '../reading/contract.ts'

const Published = z.object({
  articleId: z.string(),
  slug: z.string(),
  authorId: z.string(),
  title: z.string(),
  description: z.string(),
  body: z.string(),
  tagList: z.array(z.string()),
  createdAt: z.string(),
  updatedAt: z.string(),
})

export const articlePublished = event('article.published', { version: 1, key: ({ articleId }) => articleId, data: Published })
export const articleEdited = event('article.edited', { version: 1, key: ({ articleId }) => articleId, data: Published })
export const articleDeleted = event('article.deleted', { version: 1, key: ({ articleId }) => articleId, data: z.object({ articleId: z.string() }) })

const tagList = z.array(z.string().trim().min(1)).max(50)
const Written = z.object({ slug: z.string(), updatedAt: z.string() })
const showArticle = show<unknown, z.output<typeof Written>, typeof reading.article>(() => reading.article, ({ slug }) => ({ slug }))

/** Writing articles. What people read comes from `reading`. */
export const articles = contract('articles', {
  errors,
  events: [articlePublished, articleEdited, articleDeleted],
  publish: command({
    http: 'POST /articles',
    auth: 'user',
    status: 201,
    input: z.object({ article: z.object({ title: filled, description: filled, body: filled, tagList: tagList.default([]) }) }),
    output: Written,
    show: showArticle,
  }),
  edit: command({
    http: 'PUT /articles/:slug',
    auth: 'user',
    input: BySlug.extend({ article: z.object({ title: filled.optional(), description: filled.optional(), body: filled.optional(), tagList: tagList.optional() }) }),
    output: Written,
    show: showArticle,
  }),
  delete: command({ http: 'DELETE /articles/:slug', auth: 'user', input: BySlug, output: z.void() }),
})

import { command, contract, event, show } from 'atoll'
import { z } from 'zod'
import { BySlug, charsMax, errors, filled, TAGS_MAX } from '../realworld.ts'
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

export const articlePublished = event('article.published', {
  version: 1,
  key: ({ articleId }) => articleId,
  data: Published,
})
export const articleEdited = event('article.edited', { version: 1, key: ({ articleId }) => articleId, data: Published })
export const articleDeleted = event('article.deleted', {
  version: 1,
  key: ({ articleId }) => articleId,
  data: z.object({ articleId: z.string() }),
})

const title = filled(charsMax.title)
const description = filled(charsMax.description)
const body = filled(charsMax.article)
const tagList = z.array(filled(charsMax.tag)).max(TAGS_MAX, `has too many (maximum is ${TAGS_MAX})`)
const Written = z.object({ slug: z.string(), updatedAt: z.string() })
const showArticle = show<unknown, z.output<typeof Written>, typeof reading.article>(
  () => reading.article,
  ({ slug }) => ({ slug }),
)

/** Writing articles. What people read comes from `reading`. */
export const articles = contract('articles', {
  errors,
  events: [articlePublished, articleEdited, articleDeleted],
  publish: command({
    http: 'POST /articles',
    auth: 'user',
    status: 201,
    input: z.object({ article: z.object({ title, description, body, tagList: tagList.default([]) }) }),
    output: Written,
    show: showArticle,
  }),
  edit: command({
    http: 'PUT /articles/:slug',
    auth: 'user',
    input: BySlug.extend({ article: z.object({ title, description, body, tagList }).partial() }),
    output: Written,
    show: showArticle,
  }),
  delete: command({ http: 'DELETE /articles/:slug', auth: 'user', input: BySlug, output: z.void() }),
})

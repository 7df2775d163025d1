import { command, contract, event, show } from 'atoll'
import { z } from 'zod'
import { BySlug, errors } from '../realworld.ts'
import { reading } from '../reading/contract.ts'

const Favorite = z.object({ articleId: z.string(), userId: z.string() })
const pair = ({ articleId, userId }: z.output<typeof Favorite>) => `${articleId}:${userId}`

export const articleFavorited = event('article.favorited', { version: 1, key: pair, data: Favorite })
export const articleUnfavorited = event('article.unfavorited', { version: 1, key: pair, data: Favorite })

const showArticle = show<z.output<typeof BySlug>, unknown, typeof reading.article>(
  () => reading.article,
  (_, { slug }) => ({ slug }),
)

/** Who likes what. */
export const favorites = contract('favorites', {
  errors,
  events: [articleFavorited, articleUnfavorited],
  favorite: command({
    http: 'POST /articles/:slug/favorite',
    auth: 'user',
    input: BySlug,
    output: z.object({ favorited: z.boolean() }),
    show: showArticle,
  }),
  unfavorite: command({
    http: 'DELETE /articles/:slug/favorite',
    auth: 'user',
    input: BySlug,
    output: z.object({ favorited: z.boolean() }),
    show: showArticle,
  }),
})

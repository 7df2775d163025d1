import { command, contract, event, show } from 'atoll'
import { z } from 'zod'
import { BySlug, charsMax, errors, filled } from '../realworld.ts'
import { reading } from '../reading/contract.ts'

const Posted = z.object({
  commentId: z.int(),
  articleId: z.string(),
  authorId: z.string(),
  body: z.string(),
  createdAt: z.string(),
})

export const commentPosted = event('comment.posted', {
  version: 1,
  key: ({ commentId }) => String(commentId),
  data: Posted,
})
export const commentDeleted = event('comment.deleted', {
  version: 1,
  key: ({ commentId }) => String(commentId),
  data: z.object({ commentId: z.int(), articleId: z.string() }),
})

/** What people say under articles. */
export const comments = contract('comments', {
  errors,
  events: [commentPosted, commentDeleted],
  post: command({
    http: 'POST /articles/:slug/comments',
    auth: 'user',
    input: BySlug.extend({ comment: z.object({ body: filled(charsMax.comment) }) }),
    output: z.object({ id: z.int() }),
    show: show(
      () => reading.comment,
      ({ id }: { id: number }) => ({ id }),
    ),
  }),
  delete: command({
    http: 'DELETE /articles/:slug/comments/:id',
    auth: 'user',
    input: BySlug.extend({ id: z.coerce.number().int() }),
    output: z.void(),
  }),
})

import type { Kysely } from 'kysely'
import type { PageTables } from './tables.ts'

type Db = Kysely<PageTables>

/** Which articles a list shows. */
export interface Filter {
  readonly tag?: string | undefined
  /** Ids, not names. */
  readonly authorId?: string | undefined
  readonly favoritedBy?: string | undefined
  readonly feedOf?: string | undefined
  readonly limit: number
  readonly offset: number
}

/** No more than this on a page, whatever is asked for. */
export const LIMIT_MAX = 100

/** One page of a list, newest first, as somebody sees it, and how many there are in all. Every way through it is along an index. */
export async function listArticles(db: Db, filter: Filter, viewerId: string | undefined) {
  const ids = await pageOf(db, filter)
  const rows = ids.length === 0 ? [] : await articleRows(db, viewerId).where('article.article_id', 'in', ids).execute()
  const byId = new Map(rows.map((row) => [row.article_id, row]))
  const articles = ids.flatMap((id) => byId.get(id) ?? []).map(toArticle)
  return { articles, articlesCount: await countOf(db, filter) }
}

/** The ids on a page. Only keys are walked over to get to it; what is shown is read for these alone. */
async function pageOf(db: Db, { tag, authorId, favoritedBy, feedOf, limit, offset }: Filter): Promise<string[]> {
  const page = { limit: Math.min(limit, LIMIT_MAX), offset }
  let rows: { article_id: string }[]
  if (tag !== undefined) {
    rows = await db.selectFrom('article_tags').select('article_id').where('tag', '=', tag).orderBy('created_at', 'desc').orderBy('article_id', 'desc').limit(page.limit).offset(page.offset).execute()
  } else if (favoritedBy !== undefined) {
    rows = await db
      .selectFrom('favorites')
      .innerJoin('articles', 'articles.article_id', 'favorites.article_id')
      .select('articles.article_id')
      .where('favorites.user_id', '=', favoritedBy)
      .orderBy('articles.created_at', 'desc')
      .orderBy('articles.article_id', 'desc')
      .limit(page.limit)
      .offset(page.offset)
      .execute()
  } else if (feedOf !== undefined) {
    rows = await db
      .selectFrom('follows')
      .innerJoin('articles', 'articles.author_id', 'follows.followee_id')
      .select('articles.article_id')
      .where('follows.follower_id', '=', feedOf)
      .orderBy('articles.created_at', 'desc')
      .orderBy('articles.article_id', 'desc')
      .limit(page.limit)
      .offset(page.offset)
      .execute()
  } else {
    let recent = db.selectFrom('articles').select('article_id').orderBy('created_at', 'desc').orderBy('article_id', 'desc')
    if (authorId !== undefined) recent = recent.where('author_id', '=', authorId)
    rows = await recent.limit(page.limit).offset(page.offset).execute()
  }
  return rows.map((row) => row.article_id)
}

async function countOf(db: Db, { tag, authorId, favoritedBy, feedOf }: Filter): Promise<number> {
  if (authorId === undefined && favoritedBy === undefined && feedOf === undefined) {
    return (await db.selectFrom('counts').select('count').where('tag', '=', tag ?? '').executeTakeFirst())?.count ?? 0
  }
  const count = db.selectFrom('articles').select((select) => select.fn.countAll<number>().as('count'))
  const counted =
    authorId !== undefined
      ? count.where('author_id', '=', authorId)
      : favoritedBy !== undefined
        ? count.innerJoin('favorites', 'favorites.article_id', 'articles.article_id').where('favorites.user_id', '=', favoritedBy)
        : count.innerJoin('follows', 'follows.followee_id', 'articles.author_id').where('follows.follower_id', '=', feedOf!) // the last one left
  return (await counted.executeTakeFirstOrThrow()).count
}

/** One article, as somebody sees it. */
export async function findArticle(db: Db, slug: string, viewerId: string | undefined) {
  const row = await articleRows(db, viewerId).where('article.slug', '=', slug).executeTakeFirst()
  return row && toArticle(row)
}

/** The comments of an article, oldest first; undefined if there is no such article. */
export async function findComments(db: Db, slug: string, viewerId: string | undefined) {
  const article = await db.selectFrom('articles').select('article_id').where('slug', '=', slug).executeTakeFirst()
  if (!article) return undefined
  return (await commentRows(db, viewerId).where('comment.article_id', '=', article.article_id).orderBy('comment.comment_id').execute()).map(toComment)
}

export async function findComment(db: Db, id: number, viewerId: string | undefined) {
  const row = await commentRows(db, viewerId).where('comment.comment_id', '=', id).executeTakeFirst()
  return row && toComment(row)
}

/** The tags that are used most, at most a hundred. */
export async function listTags(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('counts').select('tag').where('tag', '!=', '').where('count', '>', 0).orderBy('count', 'desc').orderBy('tag').limit(LIMIT_MAX).execute()
  return rows.map((row) => row.tag)
}

export async function findUserId(db: Db, username: string): Promise<string | undefined> {
  return (await db.selectFrom('users').select('user_id').where('username', '=', username).executeTakeFirst())?.user_id
}

/** Nobody has this id. */
const NOBODY = ''

function articleRows(db: Db, viewerId = NOBODY) {
  return db
    .selectFrom('articles as article')
    .innerJoin('users as author', 'author.user_id', 'article.author_id')
    .leftJoin('favorites as favorite', (join) => join.onRef('favorite.article_id', '=', 'article.article_id').on('favorite.user_id', '=', viewerId))
    .leftJoin('follows as follow', (join) => join.onRef('follow.followee_id', '=', 'article.author_id').on('follow.follower_id', '=', viewerId))
    .selectAll('article')
    .select(['author.username', 'author.bio', 'author.image', 'favorite.user_id as favorited_by', 'follow.follower_id as followed_by'])
}

function commentRows(db: Db, viewerId = NOBODY) {
  return db
    .selectFrom('comments as comment')
    .innerJoin('users as author', 'author.user_id', 'comment.author_id')
    .leftJoin('follows as follow', (join) => join.onRef('follow.followee_id', '=', 'comment.author_id').on('follow.follower_id', '=', viewerId))
    .select(['comment.comment_id', 'comment.body', 'comment.created_at', 'author.username', 'author.bio', 'author.image', 'follow.follower_id as followed_by'])
}

interface AuthorRow {
  readonly username: string
  readonly bio: string | null
  readonly image: string | null
  readonly followed_by: string | null
}

function toAuthor({ username, bio, image, followed_by }: AuthorRow) {
  return { username, bio, image, following: followed_by !== null }
}

function toArticle(row: Awaited<ReturnType<ReturnType<typeof articleRows>['executeTakeFirstOrThrow']>>) {
  return {
    slug: row.slug,
    title: row.title,
    description: row.description,
    body: row.body,
    tagList: JSON.parse(row.tag_list) as string[], // the projection wrote it
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    favorited: row.favorited_by !== null,
    favoritesCount: row.favorites_count,
    author: toAuthor(row),
  }
}

function toComment(row: Awaited<ReturnType<ReturnType<typeof commentRows>['executeTakeFirstOrThrow']>>) {
  return { id: row.comment_id, createdAt: row.created_at, updatedAt: row.created_at, body: row.body, author: toAuthor(row) }
}

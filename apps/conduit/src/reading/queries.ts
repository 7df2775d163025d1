import type { Kysely, SelectQueryBuilder } from 'kysely'
import { LIMIT_MAX } from './contract.ts'
import type { PageTables } from './tables.ts'

type Db = Kysely<PageTables>

/** Which articles a list shows: those that fit all of it. */
export interface Filter {
  readonly tag?: string | undefined
  /** Ids, not names. */
  readonly authorId?: string | undefined
  readonly favoritedBy?: string | undefined
  readonly feedOf?: string | undefined
  readonly limit: number
  readonly offset: number
}

/**
 * One page of a list, newest first, as somebody sees it, and how many there are in all. Every way through it is along
 * an index.
 */
export async function listArticles(db: Db, filter: Filter, viewerId: string | undefined) {
  const ids = await pageOf(db, filter)
  const rows = ids.length === 0 ? [] : await articleRows(db, viewerId).where('article.article_id', 'in', ids).execute()
  const byId = new Map(rows.map((row) => [row.article_id, row]))
  const articles = ids.flatMap((id) => byId.get(id) ?? []).map(toArticle)
  return { articles, articlesCount: await countOf(db, filter) }
}

/** The ids on a page. Only keys are walked over to get to it; what is shown is read for these alone. */
async function pageOf(db: Db, filter: Filter): Promise<string[]> {
  const limit = Math.min(filter.limit, LIMIT_MAX)
  const page: SelectQueryBuilder<PageTables, never, { article_id: string }> =
    isWide(filter) && filter.tag !== undefined
      ? db
          .selectFrom('article_tags')
          .select('article_id')
          .where('tag', '=', filter.tag)
          .orderBy('created_at', 'desc')
          .orderBy('article_id', 'desc')
      : articlesOf(db, filter)
          .select('articles.article_id')
          .orderBy('articles.created_at', 'desc')
          .orderBy('articles.article_id', 'desc')
  return (await page.limit(limit).offset(filter.offset).execute()).map((row) => row.article_id)
}

async function countOf(db: Db, filter: Filter): Promise<number> {
  if (isWide(filter))
    return (
      (
        await db
          .selectFrom('counts')
          .select('count')
          .where('tag', '=', filter.tag ?? '')
          .executeTakeFirst()
      )?.count ?? 0
    )
  return (
    await articlesOf(db, filter)
      .select((select) => select.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
  ).count
}

/**
 * Whether a list is of all articles, or of all with a tag. Those may be very many, so their order and their count lie
 * in tables.
 */
function isWide({ authorId, favoritedBy, feedOf }: Filter): boolean {
  return authorId === undefined && favoritedBy === undefined && feedOf === undefined
}

/** The articles that fit all of a filter. */
function articlesOf(
  db: Db,
  { tag, authorId, favoritedBy, feedOf }: Filter,
): SelectQueryBuilder<PageTables, 'articles', {}> {
  let articles: SelectQueryBuilder<PageTables, 'articles', {}> = db.selectFrom('articles')
  if (tag !== undefined)
    articles = articles
      .innerJoin('article_tags', 'article_tags.article_id', 'articles.article_id')
      .where('article_tags.tag', '=', tag)
  if (authorId !== undefined) articles = articles.where('articles.author_id', '=', authorId)
  if (favoritedBy !== undefined)
    articles = articles
      .innerJoin('favorites', 'favorites.article_id', 'articles.article_id')
      .where('favorites.user_id', '=', favoritedBy)
  if (feedOf !== undefined)
    articles = articles
      .innerJoin('follows', 'follows.followee_id', 'articles.author_id')
      .where('follows.follower_id', '=', feedOf)
  return articles
}

/** One article, as somebody sees it. */
export async function findArticle(db: Db, slug: string, viewerId: string | undefined) {
  const row = await articleRows(db, viewerId).where('article.slug', '=', slug).executeTakeFirst()
  return row && toArticle(row)
}

/** One page of the comments of an article, oldest first; undefined if there is no such article. */
export async function findComments(
  db: Db,
  slug: string,
  { limit, offset }: Pick<Filter, 'limit' | 'offset'>,
  viewerId: string | undefined,
) {
  const article = await db.selectFrom('articles').select('article_id').where('slug', '=', slug).executeTakeFirst()
  if (!article) return undefined
  const page = commentRows(db, viewerId)
    .where('comment.article_id', '=', article.article_id)
    .orderBy('comment.comment_id')
    .limit(Math.min(limit, LIMIT_MAX))
    .offset(offset)
  return (await page.execute()).map(toComment)
}

export async function findComment(db: Db, id: number, viewerId: string | undefined) {
  const row = await commentRows(db, viewerId).where('comment.comment_id', '=', id).executeTakeFirst()
  return row && toComment(row)
}

/** The tags that are used most, at most a hundred. */
export async function listTags(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('counts')
    .select('tag')
    .where('tag', '!=', '')
    .where('count', '>', 0)
    .orderBy('count', 'desc')
    .orderBy('tag')
    .limit(LIMIT_MAX)
    .execute()
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
    .leftJoin('favorites as favorite', (join) =>
      join.onRef('favorite.article_id', '=', 'article.article_id').on('favorite.user_id', '=', viewerId),
    )
    .leftJoin('follows as follow', (join) =>
      join.onRef('follow.followee_id', '=', 'article.author_id').on('follow.follower_id', '=', viewerId),
    )
    .selectAll('article')
    .select([
      'author.username',
      'author.bio',
      'author.image',
      'favorite.user_id as favorited_by',
      'follow.follower_id as followed_by',
    ])
}

function commentRows(db: Db, viewerId = NOBODY) {
  return db
    .selectFrom('comments as comment')
    .innerJoin('users as author', 'author.user_id', 'comment.author_id')
    .leftJoin('follows as follow', (join) =>
      join.onRef('follow.followee_id', '=', 'comment.author_id').on('follow.follower_id', '=', viewerId),
    )
    .select([
      'comment.comment_id',
      'comment.body',
      'comment.created_at',
      'author.username',
      'author.bio',
      'author.image',
      'follow.follower_id as followed_by',
    ])
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
  return {
    id: row.comment_id,
    createdAt: row.created_at,
    updatedAt: row.created_at,
    body: row.body,
    author: toAuthor(row),
  }
}

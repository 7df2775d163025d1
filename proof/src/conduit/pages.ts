import assert from 'node:assert/strict'
import type { World } from '@atoll/testkit'
import { certaintyOf, type People, type Relation } from './people.ts'

interface Article {
  readonly article_id: string
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly body: string
  readonly author_id: string
  /** A JSON array. */
  readonly tag_list: string
  readonly created_at: string
  readonly updated_at: string
}
interface Comment {
  readonly comment_id: number
  readonly article_id: string
  readonly author_id: string
  readonly body: string
}
interface Favorite {
  readonly user_id: string
  readonly article_id: string
}
interface Follow {
  readonly follower_id: string
  readonly followee_id: string
}

/** What the services own is what people were told, and `reading` shows just that. */
export async function assertPagesFit(world: World, people: People): Promise<void> {
  const articles = await rows<Article>(world, 'articles', 'articles')
  const comments = await rows<Comment>(world, 'comments', 'comments')
  const favorites = await rows<Favorite>(world, 'favorites', 'favorites')
  const follows = await rows<Follow>(world, 'profiles', 'follows')
  assertOnce(
    'article',
    people.titles,
    articles.map(({ title }) => title),
  )
  assertOnce(
    'comment',
    people.comments,
    comments.map(({ body }) => body),
  )
  assertTold(people, articles, comments, favorites, follows)

  const alive = new Set(articles.map(({ article_id }) => article_id))
  const isAlive = ({ article_id }: { article_id: string }): boolean => alive.has(article_id)
  const page = await liveStoreOf(world)
  const shown = await rows<Article & { favorites_count: number }>(world, page, 'articles')
  assert.deepEqual(toSorted(shown.map(toText)), toSorted(articles.map(toText)), 'articles')
  for (const { article_id, favorites_count } of shown) {
    assert.equal(
      favorites_count,
      favorites.filter((favorite) => favorite.article_id === article_id).length,
      `favorites of ${article_id}`,
    )
  }
  const tagged = await rows<{ tag: string; article_id: string }>(world, page, 'article_tags')
  assert.deepEqual(
    toSorted(tagged.map(({ article_id, tag }) => `${article_id} ${tag}`)),
    toSorted(articles.flatMap(({ article_id, tag_list }) => tagsOf(tag_list).map((tag) => `${article_id} ${tag}`))),
    'tags',
  )
  const said = await rows<Comment>(world, page, 'comments')
  const toLine = ({ comment_id, article_id, author_id, body }: Comment): string =>
    `${comment_id} ${article_id} ${author_id} ${body}`
  assert.deepEqual(toSorted(said.map(toLine)), toSorted(comments.filter(isAlive).map(toLine)), 'comments')
  const liked = await rows<Favorite>(world, page, 'favorites')
  assert.deepEqual(toSorted(liked.map(likeOf)), toSorted(favorites.filter(isAlive).map(likeOf)), 'favorites')
  const following = await rows<Follow>(world, page, 'follows')
  assert.deepEqual(toSorted(following.map(followOf)), toSorted(follows.map(followOf)), 'follows')
}

/** What was asked for once is there once at the most, and nothing else is. */
function assertOnce(what: string, asked: ReadonlyMap<string, unknown>, texts: readonly string[]): void {
  assert.equal(new Set(texts).size, texts.length, `an ${what} is there twice`)
  for (const text of texts) assert.ok(asked.has(text), `nobody asked for the ${what} '${text}'`)
}

/**
 * What was acknowledged is kept. `reading` is held against what the services own, so that a loss in both would else be
 * seen by nobody.
 */
function assertTold(
  people: People,
  articles: readonly Article[],
  comments: readonly Comment[],
  favorites: readonly Favorite[],
  follows: readonly Follow[],
): void {
  const bySlug = new Map(articles.map((article) => [article.slug, article]))
  const likes = new Set(favorites.map(likeOf))
  const pairs = new Set(follows.map(followOf))
  const userIds = new Map(people.persons.map(({ username, userId }) => [username, userId]))
  const assertRelation = (relation: Relation, isThere: boolean, what: string): void => {
    const certainty = certaintyOf(relation)
    if (certainty !== 'unknown') assert.equal(isThere, certainty === 'there', `${what}: ${certainty} was acknowledged`)
  }
  for (const { username, userId, articles: own, favorites: liked, following } of people.persons) {
    for (const [slug, { title, tag, body, state }] of own) {
      const owned = bySlug.get(slug)
      if (state === 'there') {
        assert.ok(owned, `${slug} was acknowledged`)
        assert.deepEqual(
          [owned.title, tagsOf(owned.tag_list), owned.body, owned.author_id],
          [title, [tag], body, userId],
          `${slug} was acknowledged otherwise`,
        )
      }
      if (state === 'gone') assert.equal(owned, undefined, `${slug} was deleted`)
    }
    for (const [slug, relation] of liked) {
      const article = bySlug.get(slug)
      if (article)
        assertRelation(
          relation,
          likes.has(likeOf({ user_id: userId, article_id: article.article_id })),
          `the favorite of ${username} for ${slug}`,
        )
    }
    for (const [name, relation] of following) {
      assertRelation(
        relation,
        pairs.has(followOf({ follower_id: userId, followee_id: userIds.get(name)! })),
        `that ${username} follows ${name}`,
      ) // people follow each other, and nobody else
    }
  }
  const under = new Map(comments.map(({ body, article_id }) => [body, article_id]))
  for (const [text, { slug, told }] of people.comments) {
    const article = bySlug.get(slug)
    if (told && article)
      assert.equal(under.get(text), article.article_id, `the comment '${text}' under ${slug} was acknowledged`)
  }
}

function rows<Row>(world: World, store: string, table: string): Promise<Row[]> {
  // the service's migrations say so
  return world.db<Record<string, Row>>(store).selectFrom(table).selectAll().execute() as Promise<Row[]>
}

/** The pages are a projection, which has a store of its own. */
async function liveStoreOf(world: World): Promise<string> {
  const [row] = await rows<{ generation: number }>(world, 'reading', 'atoll_projections')
  return `reading.pages.${row?.generation ?? 1}`
}

function toText({
  article_id,
  slug,
  title,
  description,
  body,
  author_id,
  tag_list,
  created_at,
  updated_at,
}: Article): string {
  return JSON.stringify({ article_id, slug, title, description, body, author_id, tag_list, created_at, updated_at })
}

function tagsOf(list: string): readonly string[] {
  return JSON.parse(list) as string[] // `articles` wrote it
}

function likeOf({ user_id, article_id }: Favorite): string {
  return `${user_id} ${article_id}`
}

function followOf({ follower_id, followee_id }: Follow): string {
  return `${follower_id} ${followee_id}`
}

function toSorted(texts: readonly string[]): string[] {
  return texts.toSorted()
}

import assert from 'node:assert/strict'
import type { World } from '@atoll/testkit'
import type { People } from './people.ts'

/** What `reading` shows, beside what the services own that it is built from, and beside what people were told. */
export async function assertPagesFit(world: World, people: People): Promise<void> {
  const articles = await rows<{ article_id: string; slug: string; title: string; body: string; author_id: string }>(world, 'articles', 'articles')
  const comments = await rows<{ comment_id: number; body: string; article_id: string }>(world, 'comments', 'comments')
  const favorites = await rows<{ user_id: string; article_id: string }>(world, 'favorites', 'favorites')
  const follows = await rows<{ follower_id: string; followee_id: string }>(world, 'profiles', 'follows')

  const bySlug = new Map(articles.map((article) => [article.slug, article]))
  for (const person of people.persons) {
    for (const [slug, { body, state }] of person.articles) {
      const owned = bySlug.get(slug)
      if (state === 'there') assert.equal(owned?.body, body, `${slug} was acknowledged`)
      if (state === 'gone') assert.equal(owned, undefined, `${slug} was deleted`)
    }
  }
  for (const [what, told, texts] of [['article', people.titles, articles.map(({ title }) => title)], ['comment', people.comments, comments.map(({ body }) => body)]] as const) {
    assert.equal(new Set(texts).size, texts.length, `an ${what} is there twice`)
    for (const text of texts) assert.ok(told.has(text), `nobody asked for the ${what} '${text}'`)
  }

  const alive = new Set(articles.map(({ article_id }) => article_id))
  const page = `${await liveStoreOf(world)}`
  const shown = await rows<{ article_id: string; body: string; favorites_count: number }>(world, page, 'articles')
  assert.deepEqual(toSorted(shown.map(({ article_id, body }) => `${article_id} ${body}`)), toSorted(articles.map(({ article_id, body }) => `${article_id} ${body}`)))
  for (const { article_id, favorites_count } of shown) {
    assert.equal(favorites_count, favorites.filter((favorite) => favorite.article_id === article_id).length, `favorites of ${article_id}`)
  }
  const said = await rows<{ comment_id: number; article_id: string; body: string }>(world, page, 'comments')
  assert.deepEqual(toSorted(said.map(({ body }) => body)), toSorted(comments.filter(({ article_id }) => alive.has(article_id)).map(({ body }) => body)))
  const following = await rows<{ follower_id: string; followee_id: string }>(world, page, 'follows')
  assert.deepEqual(toSorted(following.map(pair)), toSorted(follows.map(pair)))
}

function rows<Row>(world: World, store: string, table: string): Promise<Row[]> {
  return world.db<Record<string, Row>>(store).selectFrom(table).selectAll().execute() as Promise<Row[]> // the service's migrations say so
}

/** The pages are a projection, which has a store of its own. */
async function liveStoreOf(world: World): Promise<string> {
  const [row] = await rows<{ generation: number }>(world, 'reading', 'atoll_projections')
  return `reading.pages.${row?.generation ?? 1}`
}

function pair({ follower_id, followee_id }: { follower_id: string; followee_id: string }): string {
  return `${follower_id} ${followee_id}`
}

function toSorted(texts: readonly string[]): string[] {
  return texts.toSorted()
}

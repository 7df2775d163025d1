import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { kyselyFor } from '@atoll/store'
import type { Queries, Statement, Store, Value } from '@atoll/store/driver'
import { createSqliteStores } from '@atoll/store/sqlite'
import type { DataOf, EventDefinition } from 'atoll'
import { createRandom } from '@atoll/testkit'
import { articleDeleted, articleEdited, articlePublished } from '../src/articles/contract.ts'
import { commentDeleted, commentPosted } from '../src/comments/contract.ts'
import { articleFavorited, articleUnfavorited } from '../src/favorites/contract.ts'
import { userChanged, userRegistered } from '../src/identity/contract.ts'
import { userFollowed, userUnfollowed } from '../src/profiles/contract.ts'
import { pages } from '../src/reading/pages.ts'
import { findArticle, findComments, listArticles, listTags } from '../src/reading/queries.ts'
import { pageStore, type PageTables } from '../src/reading/tables.ts'

interface Fact {
  readonly event: EventDefinition
  readonly data: unknown
}

function fact<Event extends EventDefinition>(event: Event, data: DataOf<Event>): Fact {
  return { event, data }
}

async function inPages(work: (store: Store) => Promise<void>): Promise<void> {
  const stores = createSqliteStores({ folder: ':memory:', host: createNodeHost() })
  try {
    await work(await stores.open('pages', pageStore.migrations))
  } finally {
    await stores.close()
  }
}

/** Applies facts as the projection would, in one transaction. */
async function apply(store: Store, facts: readonly Fact[]): Promise<void> {
  await store.write(async (tx) => {
    const db = kyselyFor<PageTables>(tx)
    for (const { event, data } of facts) {
      const subscriber = pages.subscribers.find((one) => one.event === event)!
      await subscriber.run({
        db,
        event: { id: '', type: event.name, version: 1, key: '', data, at: 0, source: '', trace: '' },
      })
    }
  })
}

const at = (number: number): string => new Date(Date.UTC(2026, 0, 1) + number * 1_000).toISOString()
const user = (userId: string, username = userId) => fact(userRegistered, { userId, username, bio: null, image: null })
const article = (number: number, authorId: string, tagList: string[]) => ({
  articleId: `a${number}`,
  slug: `slug-${number}`,
  authorId,
  title: `T${number}`,
  description: 'd',
  body: 'b',
  tagList,
  createdAt: at(number),
  updatedAt: at(number),
})

/** What five services said, each in its own order; between them there is none. */
const streams: readonly (readonly Fact[])[] = [
  [user('ann'), user('ben'), fact(userChanged, { userId: 'ann', username: 'anna', bio: 'writes', image: null })],
  [
    fact(userFollowed, { followerId: 'ben', followeeId: 'ann' }),
    fact(userFollowed, { followerId: 'ann', followeeId: 'ben' }),
    fact(userUnfollowed, { followerId: 'ann', followeeId: 'ben' }),
  ],
  [
    fact(articlePublished, article(1, 'ann', ['x', 'y'])),
    fact(articlePublished, article(2, 'ben', ['y'])),
    fact(articleEdited, { ...article(1, 'ann', ['y', 'z']), body: 'edited' }),
    fact(articlePublished, article(3, 'ann', ['x'])),
    fact(articleDeleted, { articleId: 'a2' }),
  ],
  [
    fact(commentPosted, { commentId: 1, articleId: 'a1', authorId: 'ben', body: 'one', createdAt: at(5) }),
    fact(commentPosted, { commentId: 2, articleId: 'a2', authorId: 'ann', body: 'two', createdAt: at(6) }),
    fact(commentPosted, { commentId: 3, articleId: 'a1', authorId: 'ann', body: 'three', createdAt: at(7) }),
    fact(commentDeleted, { commentId: 1, articleId: 'a1' }),
  ],
  [
    fact(articleFavorited, { articleId: 'a1', userId: 'ben' }),
    fact(articleFavorited, { articleId: 'a2', userId: 'ann' }),
    fact(articleFavorited, { articleId: 'a3', userId: 'ben' }),
    fact(articleFavorited, { articleId: 'a1', userId: 'ann' }),
    fact(articleUnfavorited, { articleId: 'a1', userId: 'ann' }),
    fact(articleUnfavorited, { articleId: 'a2', userId: 'ann' }),
  ],
]

/** Everything a reader can see. */
async function look(store: Store): Promise<unknown> {
  const db = kyselyFor<PageTables>(store.reader)
  const page = { limit: 20, offset: 0 }
  return {
    all: await listArticles(db, page, 'ben'),
    tagged: await Promise.all(['x', 'y', 'z'].map((tag) => listArticles(db, { ...page, tag }, undefined))),
    feed: await listArticles(db, { ...page, feedOf: 'ben' }, 'ben'),
    favorites: await listArticles(db, { ...page, favoritedBy: 'ben' }, undefined),
    article: await findArticle(db, 'slug-1', 'ben'),
    comments: await findComments(db, 'slug-1', page, undefined),
    tags: await listTags(db),
  }
}

/** Takes one fact after the other, from streams that a seed draws. */
function interleave(seed: number): Fact[] {
  const random = createRandom(seed)
  const left = streams.map((stream) => [...stream])
  const facts: Fact[] = []
  for (let open = left; open.length > 0; open = left.filter((stream) => stream.length > 0))
    facts.push(random.pick(open).shift()!) // none of them is empty
  return facts
}

describe('the pages', () => {
  it('come out the same in whatever order the events of different services arrive', async () => {
    let expected: unknown
    await inPages(async (store) => {
      await apply(store, streams.flat())
      expected = await look(store)
    })
    for (let seed = 1; seed <= 100; seed++) {
      await inPages(async (store) => {
        await apply(store, interleave(seed))
        assert.deepEqual(await look(store), expected, `seed ${seed}`)
      })
    }
  })

  it('are found along indexes: no query walks over all articles, however many there are', () =>
    inPages(async (store) => {
      await apply(store, [user('ann'), user('ben'), fact(userFollowed, { followerId: 'ben', followeeId: 'ann' })])
      await apply(
        store,
        Array.from({ length: 2_000 }, (_, number) =>
          fact(articlePublished, article(number, number % 2 === 0 ? 'ann' : 'ben', [`t${number % 50}`])),
        ),
      )
      const seen = new Set<Statement>()
      const watching: Queries = {
        dialect: store.reader.dialect,
        run: () => Promise.reject(new Error('a reader does not write')),
        insert: () => Promise.reject(new Error('a reader does not write')),
        runEach: () => Promise.reject(new Error('a reader does not write')),
        get: (statement, params) => (seen.add(statement), store.reader.get(statement, params)),
        all: (statement, params) => (seen.add(statement), store.reader.all(statement, params)),
      }
      const db = kyselyFor<PageTables>(watching)
      const page = { limit: 20, offset: 40 }
      const filters = [
        {},
        { tag: 't1' },
        { authorId: 'ann' },
        { favoritedBy: 'ben' },
        { feedOf: 'ben' },
        { tag: 't1', authorId: 'ann' },
        { tag: 't1', favoritedBy: 'ben' },
      ]
      for (const filter of filters) await listArticles(db, { ...page, ...filter }, 'ben')
      await findArticle(db, 'slug-7', 'ben')
      await findComments(db, 'slug-7', page, 'ben')
      assert.ok(seen.size >= 10)
      for (const { sql } of seen) {
        const params: Value[] = Array.from(sql.matchAll(/\?/g), () => 'x')
        const plan = await store.reader.all<{ detail: string }>({ sql: `EXPLAIN QUERY PLAN ${sql}` }, params)
        // Walking along an index in its order, from one end, is how a page of the newest is found.
        const walks = plan
          .map(({ detail }) => detail)
          .filter((detail) => /^SCAN (?!.*USING (COVERING )?INDEX articles_recent)/.test(detail))
        assert.deepEqual(walks, [], sql)
      }
    }))
})

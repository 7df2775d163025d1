// One file, because it is one specification: the RealWorld API, endpoint by endpoint, in its order. No request waits
// for the one before to have spread.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { kyselyFor } from '@atoll/store'
import { createSqliteStores } from '@atoll/store/sqlite'
import { hashPassword } from '../src/identity/passwords.ts'
import { identityStore } from '../src/identity/tables.ts'
import { LIMIT_MAX } from '../src/reading/contract.ts'
import { charsMax, TAGS_MAX, text } from '../src/realworld.ts'
import { onSite, type Answer, type Site, type Visitor } from './client.ts'

const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

/** A token as it should be, but for a key that nobody has. */
const unknownKey = [
  { alg: 'EdDSA', typ: 'at+jwt', kid: 'unknown' },
  { sub: 'x', iss: 'conduit', aud: 'conduit-api', exp: 4102444800 },
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .concat('AAAA')
  .join('.')

function refused(answer: Answer, status: number, errors: Record<string, string[]>): void {
  assert.deepEqual([answer.status, answer.body], [status, { errors }])
}

async function publish(author: Visitor, title: string, more: object = {}): Promise<string> {
  const { status, body } = await author.post('/articles', {
    article: { title, description: 'about it', body: 'all of it', ...more },
  })
  assert.equal(status, 201)
  return body.article.slug
}

/** Everything twice on the same data: nothing may depend on an empty site. */
function twice(work: (site: Site, round: string) => Promise<void>): () => Promise<void> {
  return () =>
    onSite(async (site) => {
      for (const round of ['one', 'two']) await work(site, round)
    })
}

describe('users', () => {
  it('get no token for a password that they have changed, also under an Idempotency-Key that had one', () =>
    onSite(async ({ stranger, visitor }) => {
      const credentials = { email: 'jake@jake.jake', password: 'jakejake' }
      const key = { 'idempotency-key': 'c2a7f2f0-5a2b-4d5e-8f3e-6a1f0b9d7c11' }
      const { body, status } = await stranger.post('/users', { user: { username: 'jake', ...credentials } }, key)
      assert.equal(status, 201)
      for (const _ of ['first', 'again']) {
        const login = await stranger.post('/users/login', { user: credentials }, key)
        assert.deepEqual([login.status, login.headers.get('idempotency-replayed')], [200, null])
      }
      assert.equal(
        (await visitor('jake', body.user.token).put('/user', { user: { password: 'jakejake2' } }, key)).status,
        200,
      )
      assert.equal((await stranger.post('/users/login', { user: credentials }, key)).status, 401)
    }))

  it(
    'register, log in, are known by their token, and change',
    twice(async ({ stranger, visitor }, round) => {
      const user = { username: `jake-${round}`, email: `jake-${round}@jake.jake`, password: 'jakejake' }
      const registered = await stranger.post('/users', { user })
      assert.equal(registered.status, 201)
      const { token, ...shown } = registered.body.user
      assert.deepEqual(shown, { email: user.email, username: user.username, bio: null, image: null })

      const login = await stranger.post('/users/login', { user: { email: user.email, password: user.password } })
      assert.equal(login.status, 200)
      const jake = visitor(user.username, login.body.user.token)
      const { body: current } = await jake.get('/user')
      assert.equal(current.user.email, user.email)
      assert.equal((await visitor('old', token).get('/user')).status, 200)

      const changed = await jake.put('/user', {
        user: { bio: 'I like to skateboard', image: 'https://example.com/jake.jpg', email: `new-${user.email}` },
      })
      assert.deepEqual(
        [changed.status, changed.body.user.bio, changed.body.user.email],
        [200, 'I like to skateboard', `new-${user.email}`],
      )
      assert.equal((await jake.put('/user', { user: { bio: '', image: null } })).body.user.bio, null)
      assert.equal((await jake.put('/user', { user: { password: 'another one' } })).status, 200)
      refused(
        await stranger.post('/users/login', { user: { email: `new-${user.email}`, password: 'jakejake' } }),
        401,
        { credentials: ['invalid'] },
      )
      assert.equal(
        (await stranger.post('/users/login', { user: { email: `new-${user.email}`, password: 'another one' } })).status,
        200,
      )
    }),
  )

  it('who were enrolled, as the demo users are, log in and are known by their token', () =>
    onSite(async ({ started, stranger, visitor }) => {
      // the gateway has asked for keys before there is one
      refused(await visitor('thief', unknownKey).get('/user'), 401, { token: ['is invalid'] })
      await started.running.dispatch('identity.enrol', {
        input: {
          username: 'ada',
          email: 'ada@example.com',
          passwordHash: await hashPassword('conduit'),
          bio: null,
          image: null,
        },
      })
      const tokens: string[] = []
      for (const _ of ['first', 'again']) {
        const login = await stranger.post('/users/login', { user: { email: 'ada@example.com', password: 'conduit' } })
        assert.equal(login.status, 200)
        tokens.push(login.body.user.token)
      }
      for (const token of tokens) {
        const current = await visitor('ada', token).get('/user')
        assert.deepEqual([current.status, current.body.user.username], [200, 'ada'])
        assert.equal(
          (await visitor('ada', current.body.user.token).put('/user', { user: { bio: 'counts' } })).status,
          200,
        )
      }
    }))

  it('are refused with what is wrong', () =>
    onSite(async ({ stranger, register, visitor }) => {
      const ann = await register('ann')
      await register('ben')
      const user = { username: 'cleo', email: 'cleo@example.com', password: 'a good password' }
      refused(await stranger.post('/users', { user: { ...user, username: '' } }), 422, { username: ["can't be blank"] })
      refused(await stranger.post('/users', { user: { ...user, email: '' } }), 422, { email: ["can't be blank"] })
      refused(await stranger.post('/users', { user: { ...user, email: 'no address' } }), 422, { email: ['is invalid'] })
      refused(await stranger.post('/users', { user: { username: 'cleo', email: user.email } }), 422, {
        password: ["can't be blank"],
      })
      refused(await stranger.post('/users', { user: { ...user, username: 'ann' } }), 409, {
        username: ['has already been taken'],
      })
      refused(await stranger.post('/users', { user: { ...user, email: 'ann@example.com' } }), 409, {
        email: ['has already been taken'],
      })
      refused(await stranger.post('/users/login', { user: { email: 'nobody@example.com', password: 'x' } }), 401, {
        credentials: ['invalid'],
      })
      refused(await stranger.post('/users/login', { user: { email: '', password: 'x' } }), 422, {
        email: ["can't be blank"],
      })
      refused(await ann.put('/user', { user: { username: 'ben' } }), 409, { username: ['has already been taken'] })
      refused(await ann.put('/user', { user: {} }), 422, { user: ["can't be blank"] })
      refused(await stranger.get('/user'), 401, { token: ['is missing'] })
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      const claims = Buffer.from('{"sub":"x","iss":"conduit","aud":"conduit-api","exp":4102444800}').toString(
        'base64url',
      )
      for (const token of ['abc', 'a.b.c', `${none}.${claims}.`])
        refused(await visitor('thief', token).get('/user'), 401, { token: ['is invalid'] })
    }))

  it('are known by their names and e-mails as people read them, and shown as they wrote them', () =>
    onSite(async ({ stranger, register }) => {
      const ann = await register('Ann')
      const user = { username: 'ben', email: 'ben@example.com', password: 'a good password' }
      assert.equal((await stranger.post('/users', { user })).status, 201)
      for (const username of ['ann', 'ANN', 'ａｎｎ', ' Ann ', 'ANN\ufe0f'])
        refused(await stranger.post('/users', { user: { ...user, email: 'x@example.com', username } }), 409, {
          username: ['has already been taken'],
        })
      for (const email of ['ann@example.com', 'ANN@EXAMPLE.COM'])
        refused(await stranger.post('/users', { user: { ...user, username: 'x', email } }), 409, {
          email: ['has already been taken'],
        })
      refused(await ann.put('/user', { user: { username: 'BEN' } }), 409, { username: ['has already been taken'] })
      for (const email of ['Ann@example.com', 'ann@example.com', 'ANN@EXAMPLE.COM']) {
        const { status, body } = await stranger.post('/users/login', { user: { email, password: 'a good password' } })
        assert.deepEqual([status, body.user?.username, body.user?.email], [200, 'Ann', 'Ann@example.com'])
      }
      assert.deepEqual(
        (await ann.put('/user', { user: { username: 'ANN', email: 'ann@example.com' } })).body.user.username,
        'ANN',
        'one may change how one writes oneself',
      )
      for (const [username, what] of [
        ['a\u200bnn', 'contains characters that cannot be seen'],
        ['аnn', 'mixes alphabets that look alike'],
        ['\u3164', "can't be blank"],
      ]) {
        refused(await stranger.post('/users', { user: { ...user, email: 'x@example.com', username } }), 422, {
          username: [what!],
        })
      }
    }))

  it('have passwords of eight characters at least, of which none is dropped', () =>
    onSite(async ({ stranger, register }) => {
      const ann = await register('ann')
      const login = async (password: string): Promise<number> =>
        (await stranger.post('/users/login', { user: { email: 'ann@example.com', password } })).status
      for (const password of ['seven77', 'é'.repeat(7), 'e\u0301'.repeat(7), '👩'.repeat(7)]) {
        refused(await stranger.post('/users', { user: { username: 'ben', email: 'ben@example.com', password } }), 422, {
          password: ['is too short (minimum is 8 characters)'],
        })
        refused(await ann.put('/user', { user: { password } }), 422, {
          password: ['is too short (minimum is 8 characters)'],
        })
      }
      assert.equal((await ann.put('/user', { user: { password: '  8 é 8 ' } })).status, 200)
      assert.deepEqual(
        await Promise.all(['  8 é 8 ', '  8 e\u0301 8 ', '8 é 8', '  8 é 8', 'a good password'].map(login)),
        [200, 200, 401, 401, 401],
      )
      assert.equal((await ann.put('/user', { user: { password: ' '.repeat(8) } })).status, 200)
      assert.equal(await login(' '.repeat(8)), 200)
    }))

  it('from before names were compared as people read them log in as they did, and nobody new takes their names', async () => {
    const before: readonly (readonly [name: string, password: string])[] = [
      ['Ann', 'ann'],
      ['ANN', 'another'],
      ['Zoë', ' zoe '],
      ['two  spaces', 'a good password'],
    ]
    await onSite(
      async ({ stranger, visitor }) => {
        const login = async (email: string, password: string): Promise<string | number> => {
          const { status, body } = await stranger.post('/users/login', { user: { email, password } })
          return status === 200 ? body.user.username : status
        }
        for (const [name, password] of before) assert.equal(await login(`${name}@example.com`, password), name)
        assert.equal(await login('Zoë@example.com', 'zoe'), 'Zoë', 'spaces of old passwords were dropped')
        assert.equal(await login('ann@example.com', 'ann'), 'Ann', 'of two who are read alike, the first')
        for (const username of ['ann', 'ZOË', 'Two spaces'])
          refused(
            await stranger.post('/users', { user: { username, email: 'x@example.com', password: 'a good password' } }),
            409,
            { username: ['has already been taken'] },
          )
        const { body } = await stranger.post('/users/login', { user: { email: 'Zoë@example.com', password: 'zoe' } })
        assert.equal(
          (await visitor('Zoë', body.user.token).put('/user', { user: { password: ' a new one ' } })).status,
          200,
        )
        assert.deepEqual(
          [await login('zoë@example.com', ' a new one '), await login('zoë@example.com', 'a new one')],
          ['Zoë', 401],
        )
      },
      async (data) => {
        const stores = createSqliteStores({ folder: data, host: createNodeHost() })
        const store = await stores.open('identity', { '0001-users': identityStore.migrations['0001-users']! })
        const hashes = await Promise.all(before.map(([, password]) => hashPassword(password.trim())))
        await store.write(async (tx) => {
          const db = kyselyFor<{ users: { user_id: string; username: string; email: string; password_hash: string } }>(
            tx,
          )
          for (const [index, [name]] of before.entries())
            await db
              .insertInto('users')
              .values({
                user_id: `user-${index}`,
                username: name,
                email: `${name}@example.com`,
                password_hash: hashes[index]!,
              })
              .execute()
        })
        await stores.close()
      },
    )
  })

  it('wait for no more logins than can be answered: the rest is refused at once, and everything else goes on', () =>
    onSite(async ({ stranger, register }) => {
      const ann = await register('ann')
      const answers = await Promise.all([
        ...Array.from({ length: 300 }, (_, number) =>
          stranger.post('/users/login', {
            user: { email: `nobody-${number}@example.com`, password: 'a good password' },
          }),
        ),
        ann.get('/user'),
      ])
      assert.equal(answers.pop()!.status, 200)
      const refusals = answers.filter(({ status }) => status === 503)
      assert.ok(
        refusals.length > 0 && answers.every(({ status }) => status === 503 || status === 401),
        JSON.stringify(answers.map(({ status }) => status)),
      )
      for (const { headers } of refusals) assert.ok(Number(headers.get('retry-after')) >= 1)
      assert.equal(
        (await stranger.post('/users/login', { user: { email: 'ann@example.com', password: 'a good password' } }))
          .status,
        200,
      )
    }))

  it('have one winner when many want one name', () =>
    onSite(async ({ stranger }) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          stranger.post('/users', {
            user: { username: 'prize', email: `runner-${index}@example.com`, password: 'a good password' },
          }),
        ),
      )
      assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array<number>(19).fill(409)])
    }))
})

describe('profiles', () => {
  it(
    'are shown, followed and unfollowed',
    twice(async ({ register, stranger }, round) => {
      const fan = await register(`fan-${round}`)
      const star = await register(`star-${round}`)
      const path = `/profiles/${star.name}`
      assert.deepEqual((await stranger.get(path)).body, {
        profile: { username: star.name, bio: null, image: null, following: false },
      })
      for (const [answer, following] of [
        [await fan.post(`${path}/follow`), true],
        [await fan.get(path), true],
        [await fan.post(`${path}/follow`), true],
        [await stranger.get(path), false],
        [await fan.delete(`${path}/follow`), false],
        [await fan.get(path), false],
      ] as const) {
        assert.deepEqual([answer.status, answer.body.profile.following], [200, following])
      }
      await star.put('/user', { user: { bio: 'famous' } })
      assert.equal((await stranger.get(path)).body.profile.bio, 'famous')
    }),
  )

  it('are refused with what is wrong', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      refused(await stranger.get('/profiles/nobody'), 404, { profile: ['not found'] })
      refused(await ann.post('/profiles/nobody/follow'), 404, { profile: ['not found'] })
      refused(await ann.delete('/profiles/nobody/follow'), 404, { profile: ['not found'] })
      refused(await stranger.post('/profiles/ann/follow'), 401, { token: ['is missing'] })
    }))
})

describe('articles', () => {
  it(
    'are published, read, edited and deleted',
    twice(async ({ register, stranger }, round) => {
      const author = await register(`author-${round}`)
      const title = `How to train your dragon ${round}`
      const created = await author.post('/articles', {
        article: { title, description: 'Ever wonder how?', body: 'Very carefully.', tagList: ['training', 'dragons'] },
      })
      assert.equal(created.status, 201)
      const { createdAt, updatedAt, ...article } = created.body.article
      assert.match(createdAt, ISO)
      assert.match(updatedAt, ISO)
      assert.deepEqual(article, {
        slug: `how-to-train-your-dragon-${round}`,
        title,
        description: 'Ever wonder how?',
        body: 'Very carefully.',
        tagList: ['dragons', 'training'],
        favorited: false,
        favoritesCount: 0,
        author: { username: author.name, bio: null, image: null, following: false },
      })
      const path = `/articles/${article.slug}`
      assert.deepEqual((await stranger.get(path)).body, created.body)

      const edited = await author.put(path, { article: { body: 'With two hands', title: `Dragons ${round}` } })
      assert.deepEqual(
        [edited.status, edited.body.article.body, edited.body.article.title],
        [200, 'With two hands', `Dragons ${round}`],
      )
      assert.equal(edited.body.article.slug, article.slug, 'links to an article go on working')
      assert.deepEqual((await stranger.get(path)).body, edited.body)

      assert.equal((await author.delete(path)).status, 204)
      refused(await stranger.get(path), 404, { article: ['not found'] })
      refused(await author.delete(path), 404, { article: ['not found'] })
    }),
  )

  it('are refused with what is wrong', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      const ben = await register('ben')
      const slug = await publish(ann, 'Mine')
      const article = { title: 'T', description: 'D', body: 'B' }
      for (const field of ['title', 'description', 'body'])
        refused(await ann.post('/articles', { article: { ...article, [field]: '' } }), 422, {
          [field]: ["can't be blank"],
        })
      refused(await stranger.post('/articles', { article }), 401, { token: ['is missing'] })
      refused(await ben.put(`/articles/${slug}`, { article: { body: 'x' } }), 403, { article: ['forbidden'] })
      refused(await ben.delete(`/articles/${slug}`), 403, { article: ['forbidden'] })
      refused(await ann.put('/articles/unknown', { article: { body: 'x' } }), 404, { article: ['not found'] })
      refused(await ann.put(`/articles/${slug}`, { article: {} }), 422, { article: ["can't be blank"] })
      refused(await stranger.get('/articles?limit=0'), 422, { limit: ['must be at least 1'] })
      assert.equal((await stranger.get('/articles?offset=-1')).status, 422)
      assert.equal((await stranger.get('/articles/feed')).status, 401)
    }))

  it('with one title have slugs of their own, also when they come at once', () =>
    onSite(async ({ register }) => {
      const ann = await register('ann')
      const slugs = await Promise.all(Array.from({ length: 10 }, () => publish(ann, 'Same title')))
      assert.equal(new Set(slugs).size, 10)
    }))

  it('may be called as a part of a path is, and are found', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      for (const title of ['Feed', 'feed!']) {
        const slug = await publish(ann, title)
        assert.deepEqual(
          [slug.startsWith('feed-'), (await stranger.get(`/articles/${slug}`)).body.article.title],
          [true, title],
        )
        assert.equal((await ann.put(`/articles/${slug}`, { article: { body: 'more' } })).body.article.body, 'more')
      }
      assert.deepEqual((await ann.get('/articles/feed')).body, { articles: [], articlesCount: 0 })
    }))

  it('are changed by one of two who began with the same version', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      const path = `/articles/${await publish(ann, 'Versions')}`
      const etag = (await stranger.get(path)).headers.get('etag')!
      const answers = await Promise.all(
        ['first', 'second'].map((body) => ann.put(path, { article: { body } }, { 'if-match': etag })),
      )
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412])
      assert.equal(
        (await stranger.get(path, { 'if-none-match': (await stranger.get(path)).headers.get('etag')! })).status,
        304,
      )
    }))

  it(
    'are listed newest first, by tag, author and favorite, in pages, without their bodies',
    twice(async ({ register, stranger }, round) => {
      const ann = await register(`ann-${round}`)
      const ben = await register(`ben-${round}`)
      const slugs: string[] = []
      for (let number = 0; number < 5; number++)
        slugs.push(
          await publish(number === 4 ? ben : ann, `List ${round} ${number}`, {
            tagList: [number % 2 === 0 ? `even-${round}` : `odd-${round}`],
          }),
        )
      const list = async (query: string) => {
        const { status, body } = await stranger.get(`/articles?${query}`)
        assert.equal(status, 200)
        return [body.articles.map((article) => article.slug), body.articlesCount]
      }
      assert.deepEqual(await list(`author=${ann.name}`), [slugs.slice(0, 4).reverse(), 4])
      assert.deepEqual(await list(`tag=even-${round}`), [[slugs[4], slugs[2], slugs[0]], 3])
      assert.deepEqual(await list(`author=${ann.name}&limit=2&offset=1`), [[slugs[2], slugs[1]], 4])
      assert.deepEqual((await list('limit=2'))[0], [slugs[4], slugs[3]])
      assert.deepEqual(await list('author=nobody'), [[], 0])
      assert.deepEqual(
        await list(`tag=&author=${ann.name}&favorited=`),
        [slugs.slice(0, 4).reverse(), 4],
        'an empty name is none',
      )
      const all = await list('limit=1')
      for (const empty of ['tag=', 'author=', 'favorited=', 'tag=&author=&favorited='])
        assert.deepEqual(await list(`${empty}&limit=1`), all)
      await ben.post(`/articles/${slugs[1]}/favorite`)
      assert.deepEqual(await list(`favorited=${ben.name}`), [[slugs[1]], 1])
      assert.deepEqual(
        await list(`tag=even-${round}&author=${ann.name}`),
        [[slugs[2], slugs[0]], 2],
        'those that fit all of it',
      )
      assert.deepEqual(await list(`tag=even-${round}&author=${ann.name}&limit=1&offset=1`), [[slugs[0]], 2])
      assert.deepEqual(await list(`author=${ann.name}&favorited=${ben.name}&tag=odd-${round}`), [[slugs[1]], 1])
      assert.deepEqual(await list(`author=${ben.name}&favorited=${ben.name}`), [[], 0])
      const [first] = (await stranger.get('/articles?limit=1')).body.articles
      assert.ok(!('body' in first!))
      assert.ok((await stranger.get('/tags')).body.tags.includes(`even-${round}`))
      await ben.delete(`/articles/${slugs[4]}`)
      assert.deepEqual(await list(`tag=even-${round}`), [[slugs[2], slugs[0]], 2])
    }),
  )

  it(
    'of those one follows are in the feed',
    twice(async ({ register }, round) => {
      const reader = await register(`reader-${round}`)
      const writer = await register(`writer-${round}`)
      const slug = await publish(writer, `Feed ${round}`)
      const feed = async () => (await reader.get('/articles/feed')).body
      assert.deepEqual(await feed(), { articles: [], articlesCount: 0 })
      await reader.post(`/profiles/${writer.name}/follow`)
      assert.deepEqual(
        [(await feed()).articles.map((article) => article.slug), (await feed()).articlesCount],
        [[slug], 1],
      )
      assert.equal((await feed()).articles[0]!.author.following, true)
      await reader.delete(`/profiles/${writer.name}/follow`)
      assert.deepEqual(await feed(), { articles: [], articlesCount: 0 })
    }),
  )

  it(
    'are favorited and unfavorited',
    twice(async ({ register, stranger }, round) => {
      const ann = await register(`ann-${round}`)
      const ben = await register(`ben-${round}`)
      const path = `/articles/${await publish(ann, `Liked ${round}`)}`
      const shown = (answer: Answer) => [
        answer.status,
        answer.body.article.favorited,
        answer.body.article.favoritesCount,
      ]
      assert.deepEqual(shown(await ben.post(`${path}/favorite`)), [200, true, 1])
      assert.deepEqual(shown(await ben.post(`${path}/favorite`)), [200, true, 1])
      assert.deepEqual(shown(await ann.post(`${path}/favorite`)), [200, true, 2])
      assert.deepEqual(shown(await stranger.get(path)), [200, false, 2])
      assert.deepEqual(shown(await ben.delete(`${path}/favorite`)), [200, false, 1])
      assert.deepEqual(shown(await ben.get(path)), [200, false, 1])
      refused(await ben.post('/articles/unknown/favorite'), 404, { article: ['not found'] })
      refused(await stranger.post(`${path}/favorite`), 401, { token: ['is missing'] })
    }),
  )
})

describe('comments', () => {
  it(
    'are posted, listed and deleted',
    twice(async ({ register, stranger }, round) => {
      const ann = await register(`ann-${round}`)
      const ben = await register(`ben-${round}`)
      const path = `/articles/${await publish(ann, `Discussed ${round}`)}/comments`
      assert.deepEqual((await stranger.get(path)).body, { comments: [] })
      const posted = await ben.post(path, { comment: { body: 'Thank you so much!' } })
      assert.equal(posted.status, 200)
      const { id, createdAt, updatedAt, ...comment } = posted.body.comment
      assert.equal(typeof id, 'number')
      assert.match(createdAt, ISO)
      assert.match(updatedAt, ISO)
      assert.deepEqual(comment, {
        body: 'Thank you so much!',
        author: { username: ben.name, bio: null, image: null, following: false },
      })
      await ann.post(path, { comment: { body: 'You are welcome.' } })
      assert.deepEqual(
        (await stranger.get(path)).body.comments.map((one) => one.body),
        ['Thank you so much!', 'You are welcome.'],
      )
      refused(await ann.delete(`${path}/${id}`), 403, { comment: ['forbidden'] })
      assert.equal((await ben.delete(`${path}/${id}`)).status, 204)
      refused(await ben.delete(`${path}/${id}`), 404, { comment: ['not found'] })
      assert.equal((await stranger.get(path)).body.comments.length, 1)
      const more = await Promise.all(['one', 'two', 'three'].map((body) => ben.post(path, { comment: { body } })))
      const ids = more.map(({ body }) => body.comment.id).sort((a, b) => a - b)
      const page = async (query: string): Promise<number[]> =>
        (await stranger.get(`${path}?${query}`)).body.comments.map((one) => one.id)
      assert.deepEqual(await page('offset=1'), ids, 'oldest first')
      assert.deepEqual(
        [await page('limit=2&offset=2'), await page('offset=4'), await page('limit=100000&offset=1')],
        [ids.slice(1), [], ids],
      )
      assert.equal((await stranger.get(`${path}?limit=0`)).status, 422)
      refused(await ben.post(path, { comment: { body: '' } }), 422, { body: ["can't be blank"] })
      refused(await ben.post('/articles/unknown/comments', { comment: { body: 'x' } }), 404, { article: ['not found'] })
      refused(await stranger.get('/articles/unknown/comments'), 404, { article: ['not found'] })
      refused(await stranger.post(path, { comment: { body: 'x' } }), 401, { token: ['is missing'] })
    }),
  )
})

describe('reading', () => {
  it('that was down shows everything that was written meanwhile', () =>
    onSite(async ({ register, started, stranger }) => {
      const ann = await register('ann')
      const slug = await publish(ann, 'Before')
      const reading = started.running.services.get('reading')!
      await reading.stop()
      assert.equal((await stranger.get(`/articles/${slug}`)).status, 503)
      const statuses = new Set<number>()
      for (let batch = 0; batch < 10; batch++) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            ann.post(`/articles/${slug}/comments`, { comment: { body: `remark ${batch * 50 + index}` } }),
          ),
        )
        for (const { status } of answers) statuses.add(status)
      }
      assert.deepEqual([...statuses], [202], 'the comments are taken, and cannot be shown yet')
      await reading.start()
      const pages = await Promise.all(
        Array.from({ length: 6 }, (_, page) => ann.get(`/articles/${slug}/comments?offset=${page * 100}`)),
      )
      assert.deepEqual(
        pages.map(({ body }) => body.comments.length),
        [100, 100, 100, 100, 100, 0],
      )
      assert.equal(new Set(pages.flatMap(({ body }) => body.comments.map(({ id }) => id))).size, 500)
      assert.ok((await started.running.admin.ledger()).every((row) => row.balanced))
    }))

  it('shows the same after its pages were built anew', () =>
    onSite(async ({ register, started, stranger }) => {
      const ann = await register('ann')
      const slug = await publish(ann, 'Again', { tagList: ['once'] })
      await ann.post(`/articles/${slug}/favorite`)
      await ann.post(`/articles/${slug}/comments`, { comment: { body: 'still here' } })
      const look = async () => [
        (await stranger.get('/articles')).body,
        (await stranger.get(`/articles/${slug}/comments`)).body,
        (await stranger.get('/tags')).body,
      ]
      const before = await look()
      await Array.fromAsync(started.running.admin.replay('reading.pages'))
      assert.deepEqual(await look(), before)
    }))
})

describe('texts', () => {
  const long = (chars: number) => '語'.repeat(chars) // three bytes each
  const address = (chars: number) => `@${'d'.repeat(60)}.example`.padStart(chars, 'a')

  it('are taken up to their limits, and refused beyond, with the name of the field', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      const tags = (count: number) =>
        Array.from({ length: count }, (_, number) => long(charsMax.tag - 2) + (10 + number))
      const fullest = {
        title: long(charsMax.title),
        description: long(charsMax.description),
        body: long(charsMax.article),
        tagList: tags(TAGS_MAX),
      }
      const published = await ann.post('/articles', { article: fullest })
      assert.equal(published.status, 201, 'shown, so its event has been through the log')
      const path = `/articles/${published.body.article.slug}`
      const send = {
        register: (user: object) =>
          stranger.post('/users', {
            user: { username: 'ben', email: 'ben@example.com', password: 'a good password', ...user },
          }),
        login: (user: object) =>
          stranger.post('/users/login', { user: { email: 'ann@example.com', password: 'a good password', ...user } }),
        change: (user: object) => ann.put('/user', { user }),
        publish: (article: object) => ann.post('/articles', { article: { ...fullest, ...article } }),
        edit: (article: object) => ann.put(path, { article }),
        comment: (comment: object) => ann.post(`${path}/comments`, { comment }),
      }
      const limits: [keyof typeof send, string, number, ((size: number) => unknown)?][] = [
        ['register', 'username', charsMax.username],
        ['register', 'email', charsMax.email, address],
        ['register', 'password', charsMax.password],
        ['login', 'email', charsMax.email, address],
        ['login', 'password', charsMax.password],
        ['change', 'username', charsMax.username],
        ['change', 'email', charsMax.email, address],
        ['change', 'password', charsMax.password],
        ['change', 'bio', charsMax.bio],
        ['change', 'image', charsMax.image],
        ['publish', 'title', charsMax.title],
        ['publish', 'description', charsMax.description],
        ['publish', 'body', charsMax.article],
        ['edit', 'title', charsMax.title],
        ['edit', 'description', charsMax.description],
        ['edit', 'body', charsMax.article],
        ['comment', 'body', charsMax.comment],
      ]
      for (const [what, field, max, make = long] of limits) {
        refused(await send[what]({ [field]: make(max + 1) }), 422, {
          [field]: [`is too long (maximum is ${max} characters)`],
        })
      }
      for (const what of ['publish', 'edit'] as const) {
        refused(await send[what]({ tagList: tags(TAGS_MAX + 1) }), 422, {
          tagList: [`has too many (maximum is ${TAGS_MAX})`],
        })
        refused(await send[what]({ tagList: ['short', long(charsMax.tag + 1)] }), 422, {
          'tagList.1': [`is too long (maximum is ${charsMax.tag} characters)`],
        })
      }
      const user = {
        username: long(charsMax.username),
        email: address(charsMax.email),
        password: long(charsMax.password),
      }
      assert.equal((await send.register(user)).status, 201)
      assert.equal((await send.login(user)).status, 200)
      assert.equal((await send.change({ bio: long(charsMax.bio), image: long(charsMax.image) })).status, 200)
      assert.equal((await send.edit(fullest)).status, 200)
      assert.equal((await send.comment({ body: long(charsMax.comment) })).status, 200)
    }))

  it('at their limits fit on a full page, of comments as of articles', () =>
    onSite(async ({ register, stranger }) => {
      const ann = await register('ann')
      const longest = { username: long(charsMax.username), bio: long(charsMax.bio), image: long(charsMax.image) }
      assert.equal((await ann.put('/user', { user: longest })).status, 200)
      const tagList = Array.from({ length: TAGS_MAX }, (_, number) => long(charsMax.tag - 2) + (10 + number))
      const slug = await publish(ann, 'Discussed')
      const comment = { body: long(charsMax.comment) }
      const say = async (): Promise<void> =>
        assert.equal((await ann.post(`/articles/${slug}/comments`, { comment })).status, 200)
      const publishLongest = (): Promise<string> =>
        publish(ann, long(charsMax.title), { description: long(charsMax.description), tagList })
      for (let batch = 0; batch < 4; batch++)
        await Promise.all(Array.from({ length: LIMIT_MAX / 4 }, () => Promise.all([say(), publishLongest()])))
      for (const who of [ann, stranger]) {
        const shown = [
          await who.get(`/articles/${slug}/comments`),
          await who.get(`/articles?limit=${LIMIT_MAX}`),
        ] as const
        assert.deepEqual(
          shown.map(({ status }) => status),
          [200, 200],
        )
        const { comments } = shown[0].body
        const { articles } = shown[1].body
        assert.deepEqual([comments.length, articles.length], [LIMIT_MAX, LIMIT_MAX])
        for (const { author, body } of comments)
          assert.deepEqual([author, body], [{ ...longest, following: false }, comment.body])
        for (const { author, description } of articles)
          assert.deepEqual([author, description], [{ ...longest, following: false }, long(charsMax.description)])
      }
    }))

  it('take three bytes of JSON for each of their characters at the most, so that limits hold for what is sent', () => {
    const one = text(1)
    const all = Array.from({ length: 2 ** 16 }, (_, unit) => String.fromCharCode(unit))
    const taken = all.filter((character) => one.safeParse(character).success)
    assert.ok(taken.length > 60_000)
    for (const character of taken)
      assert.ok(Buffer.byteLength(JSON.stringify(character)) - 2 <= 3, JSON.stringify(character))
  })

  it('have no characters that are no text', () =>
    onSite(async ({ register }) => {
      const ann = await register('ann')
      for (const text of ['\0', 'bell \x07', '\ud800 half', 'half \udc00']) {
        refused(await ann.post('/articles', { article: { title: 'T', description: 'D', body: text } }), 422, {
          body: ['contains characters that are not text'],
        })
      }
      assert.equal(
        (
          await ann.post('/articles', {
            article: { title: 'T', description: 'D', body: 'Tabs\tand lines\r\n, "quotes" \\, 👩‍💻' },
          })
        ).status,
        201,
      )
    }))
})

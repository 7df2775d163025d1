import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Client, World, WorldResponse } from '@atoll/testkit'

/** What became of something that a person asked for: `unknown` if no answer came. */
export type Certainty = 'there' | 'gone' | 'unknown'

export interface Person {
  readonly username: string
  readonly userId: string
  /** Its own articles, by slug. */
  readonly articles: Map<string, OwnArticle>
  /** By username. */
  readonly following: Map<string, Relation>
  /** By slug. */
  readonly favorites: Map<string, Relation>
  count: number
  /** Requests so far. */
  asked: number
}

/** An article as its author last left it. */
export interface OwnArticle {
  readonly title: string
  readonly tag: string
  readonly body: string
  readonly state: Certainty
  /** How often the power had gone when that was asked for. */
  readonly powerLosses: number
}

/** Whether somebody has favorited or followed something. */
export interface Relation {
  readonly state: Certainty
  /** What was asked for once and not answered. That may still come to pass, at any time. */
  readonly unanswered: readonly Certainty[]
}

/** What all people know together. */
export interface People {
  readonly persons: Person[]
  /** Articles that somebody has seen. */
  readonly slugs: string[]
  /** Every title that was asked for, and whether somebody was told that it is published. */
  readonly titles: Map<string, boolean>
  /** The same of the texts of comments, with the slug that they stand under. */
  readonly comments: Map<string, { readonly slug: string; readonly told: boolean }>
}

export function createPerson(username: string, userId: string): Person {
  return { username, userId, articles: new Map(), following: new Map(), favorites: new Map(), count: 0, asked: 0 }
}

/** What is known for certain: nothing, as long as the opposite was asked for and may still come to pass. */
export function certaintyOf({ state, unanswered }: Relation): Certainty {
  return unanswered.some((asked) => asked !== state) ? 'unknown' : state
}

/** Does one thing, and looks whether it can be seen. */
export async function act(client: Client<People>, person: Person): Promise<void> {
  const { random } = client
  const dice = random.next()
  if (dice < 0.3) return publish(client, person)
  if (dice < 0.4) return edit(client, person)
  if (dice < 0.47) return remove(client, person)
  if (dice < 0.65) return comment(client, person)
  if (dice < 0.82) return favorite(client, person)
  if (dice < 0.9) return follow(client, person)
  if (dice < 0.96) return lookBack(client, person)
  return browse(client, person)
}

async function publish(client: Client<People>, person: Person): Promise<void> {
  const {
    world: { powerLosses },
    random,
    state,
  } = client
  const title = `${person.username} writes ${++person.count}`
  const body = `text of ${title}`
  state.titles.set(title, false)
  const slug = title.replaceAll(' ', '-')
  const tag = random.pick(['sea', 'sand', 'palm'])
  const article = { title, tag, body, powerLosses }
  person.articles.set(slug, { ...article, state: 'unknown' })
  const { answer } = await insist(client, () =>
    send(
      client,
      person,
      'POST',
      '/articles',
      { article: { title, description: 'about', body, tagList: [tag] } },
      [201, 202],
      { 'idempotency-key': slug },
    ),
  ) // under its key, so that it is not there twice
  state.titles.set(title, true)
  person.articles.set(slug, { ...article, state: 'there' })
  state.slugs.push(slug)
  if (answer.status === 201) assert.equal(answer.body.article?.body, body, 'the answer shows the article')
  if (random.chance(0.5)) await see(client, person, slug)
  else await lookBack(client, person)
}

async function edit(client: Client<People>, person: Person): Promise<void> {
  const { powerLosses } = client.world
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there')
  if (slug === undefined) return
  const article = person.articles.get(slug)!
  const body = `${article.body}, again`
  person.articles.set(slug, { ...article, state: 'unknown' })
  await send(client, person, 'PUT', `/articles/${slug}`, { article: { body } }, [200, 202])
  person.articles.set(slug, { ...article, body, state: 'there', powerLosses })
  await see(client, person, slug)
}

async function remove(client: Client<People>, person: Person): Promise<void> {
  const { powerLosses } = client.world
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there')
  if (slug === undefined) return
  const article = person.articles.get(slug)!
  person.articles.set(slug, { ...article, state: 'unknown' })
  await send(client, person, 'DELETE', `/articles/${slug}`, undefined, [200, 202, 204])
  person.articles.set(slug, { ...article, state: 'gone', powerLosses })
  await see(client, person, slug)
}

/**
 * What a person wrote some steps ago is there as well, whatever that person has written since. Mostly what is not long
 * ago, which may still be on its way.
 */
async function lookBack(client: Client<People>, person: Person): Promise<void> {
  const known = [...person.articles].filter(([, { state }]) => state === 'there').map(([slug]) => slug)
  if (known.length > 0)
    await see(client, person, client.random.pick(client.random.chance(0.8) ? known.slice(-RECENT) : known))
}

const RECENT = 3

/** A person's own article is as that person last left it, at once. */
async function see(client: Client<People>, person: Person, slug: string): Promise<void> {
  const { state, body, powerLosses } = person.articles.get(slug)!
  const answer = await send(client, person, 'GET', `/articles/${slug}`, undefined, [200, 404])
  await expectSeen(client, slug, powerLosses, () => {
    assert.equal(
      answer.status,
      state === 'there' ? 200 : 404,
      `${person.username} ${state === 'there' ? 'wrote' : 'deleted'} ${slug}, and then read it`,
    )
    if (state === 'there')
      assert.equal(answer.body.article?.body, body, `${person.username} wrote ${slug}, and read something older`)
  })
}

async function comment(client: Client<People>, person: Person): Promise<void> {
  const {
    world: { powerLosses },
    state: { comments },
  } = client
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there') ?? pickSlug(client)
  if (slug === undefined) return
  const body = `${person.username} says ${++person.count}`
  comments.set(body, { slug, told: false })
  const answer = await send(
    client,
    person,
    'POST',
    `/articles/${slug}/comments`,
    { comment: { body } },
    [200, 201, 202, 404],
  )
  if (answer.status === 404) return void comments.delete(body)
  comments.set(body, { slug, told: true })
  if (client.random.chance(0.5)) return
  const { body: page, status } = await send(client, person, 'GET', `/articles/${slug}/comments`, undefined, [200, 404])
  if (status === 404) return // somebody deleted the article meanwhile
  await expectSeen(client, slug, powerLosses, () =>
    assert.ok(
      page.comments?.some((one) => one.body === body),
      `${person.username} said '${body}' under ${slug}, and did not see it`,
    ),
  )
}

async function favorite(client: Client<People>, person: Person): Promise<void> {
  const { powerLosses } = client.world
  const slug = pickSlug(client)
  if (slug === undefined) return
  const { answer, isWanted, again } = await toggle(client, person.favorites, slug, (method) =>
    send(client, person, method, `/articles/${slug}/favorite`, undefined, [200, 202, 404]),
  )
  if (answer.status === 404 || certaintyOf(person.favorites.get(slug)!) === 'unknown') return
  if (!again && client.random.chance(0.5)) return
  const { status, body } = await send(client, person, 'GET', `/articles/${slug}`, undefined, [200, 404])
  if (status === 404) return // somebody deleted it meanwhile
  await expectSeen(client, slug, powerLosses, () =>
    assert.equal(
      body.article?.favorited,
      isWanted,
      `${person.username} ${isWanted ? 'favorited' : 'unfavorited'} ${slug}, and did not see it`,
    ),
  )
}

async function follow(client: Client<People>, person: Person): Promise<void> {
  const { username } = client.random.pick(client.state.persons)
  const { isWanted } = await toggle(client, person.following, username, (method) =>
    send(client, person, method, `/profiles/${username}/follow`, undefined, [200]),
  )
  if (certaintyOf(person.following.get(username)!) === 'unknown' || client.random.chance(0.5)) return
  const { body } = await send(client, person, 'GET', `/profiles/${username}`, undefined, [200])
  assert.equal(
    body.profile?.following,
    isWanted,
    `${person.username} ${isWanted ? 'followed' : 'unfollowed'} ${username}, and did not see it`,
  )
}

/** Favorites or follows, or takes it back, whichever it is not; and notes what is known of it then. */
async function toggle(
  client: Client<People>,
  relations: Map<string, Relation>,
  name: string,
  ask: (method: 'POST' | 'DELETE') => Promise<Answer>,
): Promise<{ answer: Answer; isWanted: boolean; again: boolean }> {
  const { state, unanswered } = relations.get(name) ?? { state: 'unknown', unanswered: [] }
  const isWanted = state !== 'there'
  const wanted = isWanted ? 'there' : 'gone'
  const once: Relation = {
    state: 'unknown',
    unanswered: unanswered.includes(wanted) ? unanswered : [...unanswered, wanted],
  }
  relations.set(name, once)
  const { answer, again } = await insist(client, () => ask(isWanted ? 'POST' : 'DELETE'))
  relations.set(name, {
    state: answer.status === 404 ? 'unknown' : wanted,
    unanswered: again ? once.unanswered : unanswered,
  })
  return { answer, isWanted, again }
}

async function browse(client: Client<People>, person: Person): Promise<void> {
  await send(
    client,
    person,
    'GET',
    client.random.pick(['/articles?limit=5', '/articles/feed', '/tags', `/articles?author=${person.username}`]),
    undefined,
    [200],
  )
}

/** Asks again, soon, for what was not answered: it may have been done all the same. */
async function insist<T>(client: Client<People>, ask: () => Promise<T>): Promise<{ answer: T; again: boolean }> {
  try {
    return { answer: await ask(), again: false }
  } catch (error) {
    if (!(error instanceof AtollError)) throw error
    await client.pause(client.random.int(1_000))
    return { answer: await ask(), again: true }
  }
}

/** Those fields of answers that are looked at. */
interface Page {
  readonly article?: { readonly body: string; readonly favorited: boolean }
  readonly comments?: readonly { readonly body: string }[]
  readonly profile?: { readonly following: boolean }
}

type Answer = Omit<WorldResponse, 'body'> & { readonly body: Page }

async function send(
  client: Client<People>,
  person: Person,
  method: string,
  path: string,
  body: unknown,
  expected: readonly number[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const foreign: Record<string, string> =
    ++person.asked % FOREIGN_EVERY === 0 ? { 'atoll-position': foreignPosition(client.world) } : {}
  const answer = await client.request(method, `/api${path}`, {
    as: person.userId,
    headers: { ...foreign, ...headers },
    ...(body === undefined ? {} : { body }),
  })
  if (answer.status === 503 || answer.status === 504)
    throw new AtollError('UNAVAILABLE', `${method} ${path} was answered ${answer.status}`)
  assert.ok(
    expected.includes(answer.status),
    `${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`,
  )
  return { ...answer, body: answer.body ?? {} }
}

/** What a client sends that has kept a position over a deletion of all data, or from another system. */
export function foreignPosition({ system }: World): string {
  return system.services
    .flatMap(({ name }) => [0, 1, 2, 3, 9_999].map((partition) => `${name}.${partition}.99999999-3-1`))
    .join(',')
}

/** Every so many requests of a person carry one, besides what the gateway remembers of that person. */
const FOREIGN_EVERY = 7

/**
 * Holds what somebody sees of an article against what that somebody has done to it. It may be otherwise for two reasons
 * alone: the power went after it was asked for, so that the gateway has forgotten who has seen what, and these clients
 * send no position; or what was done is a dead letter, for which nobody waits.
 */
async function expectSeen(
  { world }: Client<People>,
  slug: string,
  powerLosses: number,
  check: () => void,
): Promise<void> {
  try {
    check()
  } catch (error) {
    if (world.powerLosses === powerLosses && !(await isDead(world, slug))) throw error
  }
}

/** Whether the pages have a dead letter of an article: of any, if its id has gone with it. */
async function isDead(world: World, slug: string): Promise<boolean> {
  const article = await world
    .db<{ articles: { article_id: string; slug: string } }>('articles')
    .selectFrom('articles')
    .select('article_id')
    .where('slug', '=', slug)
    .executeTakeFirst()
  const letters = (await world.deadLetters()).filter(({ subscription }) => subscription === 'reading.pages')
  return letters.some(
    ({ event }) =>
      article === undefined || (JSON.parse(event.data) as { articleId?: string }).articleId === article.article_id,
  ) // every event about an article has its id
}

function pickSlug({ random, state }: Client<People>): string | undefined {
  return state.slugs.length === 0 ? undefined : random.pick(state.slugs)
}

function pickKnown<T>(
  { random }: Client<People>,
  things: ReadonlyMap<string, T>,
  fits: (thing: T) => boolean,
): string | undefined {
  const known = [...things].filter(([, thing]) => fits(thing)).map(([name]) => name)
  return known.length === 0 ? undefined : random.pick(known)
}

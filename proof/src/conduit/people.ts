import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Client, WorldResponse } from '@atoll/testkit'

/** What became of something that a person asked for: `unknown` if no answer came. */
export type Certainty = 'there' | 'gone' | 'unknown'

export interface Person {
  readonly username: string
  readonly userId: string
  /** By slug, its own articles: the body that it read or wrote last, and whether they are there. */
  readonly articles: Map<string, { body: string; state: Certainty; articleVersion: string | undefined }>
  readonly following: Map<string, Certainty>
  readonly favorites: Map<string, Certainty>
  count: number
}

/** What all people know together. */
export interface People {
  readonly persons: Person[]
  /** Articles that somebody has seen. */
  readonly slugs: string[]
  /** Every title that was asked for, and whether somebody was told that it is published. */
  readonly titles: Map<string, boolean>
  /** The same of the texts of comments. */
  readonly comments: Map<string, boolean>
}

export function createPerson(username: string, userId: string): Person {
  return { username, userId, articles: new Map(), following: new Map(), favorites: new Map(), count: 0 }
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
  if (dice < 0.93) return follow(client, person)
  return browse(client, person)
}

async function publish(client: Client<People>, person: Person): Promise<void> {
  const title = `${person.username} writes ${++person.count}`
  const body = `text of ${title}`
  client.state.titles.set(title, false)
  const slug = title.replaceAll(' ', '-')
  person.articles.set(slug, { body, state: 'unknown', articleVersion: undefined })
  const tagList = [client.random.pick(['sea', 'sand', 'palm'])]
  const { answer } = await insist(client, () => send(client, person, 'POST', '/articles', { article: { title, description: 'about', body, tagList } }, [201, 202], { 'idempotency-key': slug })) // under its key, so that it is not there twice
  client.state.titles.set(title, true)
  person.articles.set(slug, { body, state: 'there', articleVersion: undefined })
  client.state.slugs.push(slug)
  if (answer.status === 201) assert.equal(answer.body.article?.body, body, 'the answer shows the article')
  if (client.random.chance(0.5)) await see(client, person, slug)
}

async function edit(client: Client<People>, person: Person): Promise<void> {
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there')
  if (slug === undefined) return
  const article = person.articles.get(slug)!
  const body = `${article.body}, again`
  person.articles.set(slug, { ...article, state: 'unknown' })
  await send(client, person, 'PUT', `/articles/${slug}`, { article: { body } }, [200, 202])
  person.articles.set(slug, { ...article, body, state: 'there' })
  await see(client, person, slug)
}

async function remove(client: Client<People>, person: Person): Promise<void> {
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there')
  if (slug === undefined) return
  const article = person.articles.get(slug)!
  person.articles.set(slug, { ...article, state: 'unknown' })
  await send(client, person, 'DELETE', `/articles/${slug}`, undefined, [200, 202, 204])
  person.articles.set(slug, { ...article, state: 'gone' })
  await see(client, person, slug)
}

/** A person's own article is as that person last left it, at once. */
async function see(client: Client<People>, person: Person, slug: string): Promise<void> {
  const { state, body } = person.articles.get(slug)!
  const answer = await send(client, person, 'GET', `/articles/${slug}`, undefined, [200, 404])
  await expectSeen(client, () => {
    assert.equal(answer.status, state === 'there' ? 200 : 404, `${person.username} ${state === 'there' ? 'wrote' : 'deleted'} ${slug}, and then read it`)
    if (state === 'there') assert.equal(answer.body.article?.body, body, `${person.username} wrote ${slug}, and read something older`)
  })
}

async function comment(client: Client<People>, person: Person): Promise<void> {
  const slug = pickKnown(client, person.articles, (article) => article.state === 'there') ?? pickSlug(client)
  if (slug === undefined) return
  const body = `${person.username} says ${++person.count}`
  client.state.comments.set(body, false)
  const answer = await send(client, person, 'POST', `/articles/${slug}/comments`, { comment: { body } }, [200, 201, 202, 404])
  if (answer.status === 404) return void client.state.comments.delete(body)
  client.state.comments.set(body, true)
  if (client.random.chance(0.5)) return
  const { body: page, status } = await send(client, person, 'GET', `/articles/${slug}/comments`, undefined, [200, 404])
  if (status === 404) return // somebody deleted the article meanwhile
  await expectSeen(client, () => assert.ok(page.comments?.some((one) => one.body === body), `${person.username} said '${body}' under ${slug}, and did not see it`))
}

async function favorite(client: Client<People>, person: Person): Promise<void> {
  const slug = pickSlug(client)
  if (slug === undefined) return
  const wanted = person.favorites.get(slug) !== 'there'
  person.favorites.set(slug, 'unknown')
  const { answer, again } = await insist(client, () => send(client, person, wanted ? 'POST' : 'DELETE', `/articles/${slug}/favorite`, undefined, [200, 202, 404]))
  if (answer.status === 404) return
  person.favorites.set(slug, wanted ? 'there' : 'gone')
  if (!again && client.random.chance(0.5)) return
  const { status, body } = await send(client, person, 'GET', `/articles/${slug}`, undefined, [200, 404])
  if (status === 404) return // somebody deleted it meanwhile
  await expectSeen(client, () => assert.equal(body.article?.favorited, wanted, `${person.username} ${wanted ? 'favorited' : 'unfavorited'} ${slug}, and did not see it`))
}

async function follow(client: Client<People>, person: Person): Promise<void> {
  const { username } = client.random.pick(client.state.persons)
  const wanted = person.following.get(username) !== 'there'
  person.following.set(username, 'unknown')
  await send(client, person, wanted ? 'POST' : 'DELETE', `/profiles/${username}/follow`, undefined, [200])
  person.following.set(username, wanted ? 'there' : 'gone')
  if (client.random.chance(0.5)) return
  const { body } = await send(client, person, 'GET', `/profiles/${username}`, undefined, [200])
  assert.equal(body.profile?.following, wanted)
}

async function browse(client: Client<People>, person: Person): Promise<void> {
  await send(client, person, 'GET', client.random.pick(['/articles?limit=5', '/articles/feed', '/tags', `/articles?author=${person.username}`]), undefined, [200])
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

async function send(client: Client<People>, person: Person, method: string, path: string, body: unknown, expected: readonly number[], headers: Readonly<Record<string, string>> = {}): Promise<Omit<WorldResponse, 'body'> & { body: Page }> {
  const answer = await client.request(method, `/api${path}`, { as: person.userId, headers, ...(body === undefined ? {} : { body }) })
  if (answer.status === 503 || answer.status === 504) throw new AtollError('UNAVAILABLE', `${method} ${path} was answered ${answer.status}`)
  assert.ok(expected.includes(answer.status), `${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  return { ...answer, body: (answer.body ?? {}) as Page } // the API says so
}

/**
 * Holds what somebody sees against what that somebody has just done. It may be otherwise for two reasons alone: a gateway that lost its
 * power has forgotten who has seen what, and these clients send no position; and a dead letter is waited for by nobody.
 */
async function expectSeen({ world }: Client<People>, check: () => void): Promise<void> {
  try {
    check()
  } catch (error) {
    if (world.powerLosses === 0 && (await world.deadLetters()).length === 0) throw error
  }
}

function pickSlug({ random, state }: Client<People>): string | undefined {
  return state.slugs.length === 0 ? undefined : random.pick(state.slugs)
}

function pickKnown<T>({ random }: Client<People>, things: ReadonlyMap<string, T>, fits: (thing: T) => boolean): string | undefined {
  const known = [...things].filter(([, thing]) => fits(thing)).map(([name]) => name)
  return known.length === 0 ? undefined : random.pick(known)
}

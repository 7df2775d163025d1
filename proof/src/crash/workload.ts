import type { Random } from '@atoll/testkit'
import type { Kind, Tried } from './book.ts'
import { between, weighted } from './random.ts'
import type { Sending } from './requests.ts'

/** Somebody who writes. */
export interface User {
  readonly name: string
  readonly token: string
}

/** One request to be made: what it sets, and how it is sent. */
export interface Task extends Omit<Tried, 'state'> {
  readonly sending: Sending
  /** What to remember when it is acknowledged. */
  done(body: unknown): void
}

interface Article {
  readonly title: string
  readonly author: User
}

/**
 * Chooses what to do next: publish, edit and delete articles, comment, favourite, follow. Of each register only one
 * request is under way at a time, and the next comes only when the fate of the last is known; else nobody could say
 * what it should hold.
 */
export class Workload {
  readonly #random: Random
  readonly #users: readonly User[]
  /** Makes ids unique among workloads that share a system. */
  readonly #prefix: string
  #count = 0
  #articles: readonly Article[] = []
  readonly #comments: { id: number; register: string; author: User; slug: string }[] = []
  readonly #taken = new Set<string>()

  constructor(random: Random, users: readonly User[], prefix: string) {
    this.#random = random
    this.#users = users
    this.#prefix = prefix
  }

  next(): Task {
    for (;;) {
      const task = this.#make(this.#articles.length < 5 ? 'publish' : weighted(this.#random, weights))
      if (!task || this.#taken.has(task.register)) continue
      this.#taken.add(task.register)
      return task
    }
  }

  /** The register may be set again. */
  free({ register }: Task): void {
    this.#taken.delete(register)
  }

  #make(kind: Kind): Task | undefined {
    const id = `${this.#prefix}${++this.#count}`
    const user = this.#random.pick(this.#users)
    if (kind === 'publish') return this.#publish(id, user)
    if (kind === 'follow' || kind === 'unfollow') return this.#follow(id, kind, user)
    if (kind === 'uncomment') return this.#uncomment(id)
    const article = this.#random.pick(this.#articles)
    if (kind === 'edit') return this.#edit(id, article)
    if (kind === 'delete') return this.#delete(id, article)
    if (kind === 'comment') return this.#comment(id, user, article)
    return this.#favorite(id, kind, user, article)
  }

  #publish(id: string, author: User): Task {
    const title = `crash ${id}`
    const body = { article: { title, description: id, body: `The text of ${title}.`, tagList: this.#tags() } }
    return this.#task(
      id,
      'publish',
      `article:${title}`,
      id,
      { method: 'POST', path: '/articles', token: author.token, body },
      () => {
        this.#articles = [...this.#articles, { title, author }]
      },
    )
  }

  #edit(id: string, { title, author }: Article): Task {
    const body = { article: { description: id, tagList: this.#tags() } }
    return this.#task(id, 'edit', `article:${title}`, id, {
      method: 'PUT',
      path: `/articles/${toSlug(title)}`,
      token: author.token,
      body,
    })
  }

  #delete(id: string, article: Article): Task {
    const { title, author } = article
    return this.#task(
      id,
      'delete',
      `article:${title}`,
      GONE,
      { method: 'DELETE', path: `/articles/${toSlug(title)}`, token: author.token },
      () => {
        this.#articles = this.#articles.filter((other) => other !== article)
      },
    )
  }

  #comment(id: string, author: User, { title }: Article): Task {
    const slug = toSlug(title)
    const register = `comment:${title}:${id}`
    return this.#task(
      id,
      'comment',
      register,
      id,
      { method: 'POST', path: `/articles/${slug}/comments`, token: author.token, body: { comment: { body: id } } },
      (answer) => {
        // as RealWorld has it; a comment whose article went meanwhile is only named
        const { comment } = answer as { comment?: { id: number } }
        if (comment && this.#comments.length < 200) this.#comments.push({ id: comment.id, register, author, slug })
      },
    )
  }

  #uncomment(id: string): Task | undefined {
    const at = between(this.#random, 0, this.#comments.length - 1)
    const comment = this.#comments[at]
    if (!comment || this.#taken.has(comment.register)) return undefined
    this.#comments.splice(at, 1)
    return this.#task(id, 'uncomment', comment.register, GONE, {
      method: 'DELETE',
      path: `/articles/${comment.slug}/comments/${comment.id}`,
      token: comment.author.token,
    })
  }

  #favorite(id: string, kind: 'favorite' | 'unfavorite', user: User, { title }: Article): Task {
    const on = kind === 'favorite'
    return this.#task(id, kind, `favorite:${title}:${user.name}`, on ? 'yes' : GONE, {
      method: on ? 'POST' : 'DELETE',
      path: `/articles/${toSlug(title)}/favorite`,
      token: user.token,
    })
  }

  #follow(id: string, kind: 'follow' | 'unfollow', user: User): Task {
    const other = this.#random.pick(this.#users)
    const on = kind === 'follow'
    return this.#task(id, kind, `follow:${user.name}:${other.name}`, on ? 'yes' : GONE, {
      method: on ? 'POST' : 'DELETE',
      path: `/profiles/${other.name}/follow`,
      token: user.token,
    })
  }

  /** The request carries its id, so that the events that it leads to name it as their cause; some can be sent again. */
  #task(
    id: string,
    kind: Kind,
    register: string,
    value: string,
    sending: Sending,
    done: Task['done'] = () => {},
  ): Task {
    const headers = { 'x-request-id': id, ...(this.#random.chance(KEYED) ? { 'idempotency-key': id } : {}) }
    return { id, kind, register, value, sending: { ...sending, headers }, done }
  }

  #tags(): string[] {
    return Array.from({ length: between(this.#random, 0, 3) }, () => `tag${between(this.#random, 1, 12)}`)
  }
}

/** What a register holds when what it names is not there. */
export const GONE = ''

/** Titles are made so that this is all there is to their slugs. */
function toSlug(title: string): string {
  return title.replaceAll(' ', '-')
}

const KEYED = 0.4
const weights: readonly (readonly [number, Kind])[] = [
  [24, 'publish'],
  [28, 'comment'],
  [14, 'favorite'],
  [7, 'unfavorite'],
  [6, 'follow'],
  [3, 'unfollow'],
  [9, 'edit'],
  [5, 'delete'],
  [4, 'uncomment'],
]

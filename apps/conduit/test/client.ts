import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, type Started } from '@atoll/cli'
import type { z } from 'zod'
import type { Article, Comment, Profile } from '../src/realworld.ts'
import conduit, { gateway } from '../src/system.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

/** Every field that an answer of the API can have; a test reads those that it expects. */
export interface Body {
  readonly user: {
    readonly email: string
    readonly token: string
    readonly username: string
    readonly bio: string | null
    readonly image: string | null
  }
  readonly profile: z.output<typeof Profile>
  readonly article: z.output<typeof Article>
  readonly articles: readonly z.output<typeof Article>[]
  readonly articlesCount: number
  readonly comment: z.output<typeof Comment>
  readonly comments: readonly z.output<typeof Comment>[]
  readonly tags: readonly string[]
}

/** A client of the API, as one visitor uses it. */
export interface Visitor {
  readonly name: string
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  post(path: string, body?: object, headers?: Record<string, string>): Promise<Answer>
  put(path: string, body?: object, headers?: Record<string, string>): Promise<Answer>
  delete(path: string): Promise<Answer>
}

export interface Site {
  readonly started: Started
  /** Somebody who has not logged in. */
  readonly stranger: Visitor
  /** Registers somebody with that name. */
  register(name: string): Promise<Visitor>
  visitor(name: string, token: string | undefined): Visitor
}

/** Runs `work` against a Conduit of its own, on files, over HTTP. `prepare` may put files into its folder first. */
export async function onSite(
  work: (site: Site) => Promise<void>,
  prepare: (data: string) => Promise<void> = async () => {},
): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'conduit-'))
  await prepare(data)
  const started = await start({ ...conduit, seed: undefined }, { data, port: 0, gateway })
  const visitor = (name: string, token: string | undefined): Visitor => {
    const send = async (
      method: string,
      path: string,
      body?: object,
      more: Record<string, string> = {},
    ): Promise<Answer> => {
      const headers: Record<string, string> = { ...more }
      if (token !== undefined) headers['authorization'] = `Token ${token}`
      if (body !== undefined) headers['content-type'] = 'application/json'
      const response = await fetch(`${started.url}/api${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as Body }
    }
    return {
      name,
      get: (path, headers) => send('GET', path, undefined, headers),
      post: (path, body, headers) => send('POST', path, body, headers),
      put: (path, body, headers) => send('PUT', path, body, headers),
      delete: (path) => send('DELETE', path),
    }
  }
  const stranger = visitor('stranger', undefined)
  try {
    await work({
      started,
      stranger,
      visitor,
      async register(name) {
        const { body } = await stranger.post('/users', {
          user: { username: name, email: `${name}@example.com`, password: 'a good password' },
        })
        return visitor(name, body.user.token)
      },
    })
  } finally {
    await started.stop()
    await rm(data, { recursive: true })
  }
}

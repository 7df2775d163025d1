import type { Client } from './requests.ts'
import type { Seen, SeenArticle } from './stores.ts'

interface Shown {
  readonly slug: string
  readonly description: string
  readonly tagList: readonly string[]
  readonly favoritesCount: number
}

/**
 * What readers see over HTTP against what the stores of those who write hold: the newest articles and the tags;
 * `everything`: all of the list, and the comments of the newest. Undefined if the process was gone before it had
 * answered.
 */
export async function judgePages(client: Client, seen: Seen, everything: boolean): Promise<string[] | undefined> {
  const findings: string[] = []
  for (let offset = 0; offset === 0 || (everything && offset < seen.articles.length); offset += PAGE) {
    const reply = await client.send({ method: 'GET', path: `/articles?limit=${PAGE}&offset=${offset}` })
    if (reply.status === 0) return undefined
    // as RealWorld has it
    const { articles = [], articlesCount } = (reply.body ?? {}) as { articles?: Shown[]; articlesCount?: number }
    const shown = articles.map(({ slug, description, tagList, favoritesCount }) => [
      slug,
      description,
      JSON.stringify(tagList),
      favoritesCount,
    ])
    const held = seen.articles
      .slice(offset, offset + PAGE)
      .map(({ slug, description, tagList, favorites }) => [slug, description, tagList, favorites])
    findings.push(...differences(`article at ${offset} in the list`, held, shown))
    if (articlesCount !== seen.articles.length)
      findings.push(`the list says that there are ${articlesCount} articles, and there are ${seen.articles.length}`)
  }
  const tags = await client.send({ method: 'GET', path: '/tags' })
  if (tags.status === 0) return undefined
  findings.push(...differences('tag', seen.tags, (tags.body as { tags: string[] }).tags))
  for (const article of everything ? seen.articles.slice(0, COMMENTED) : []) {
    const shown = await commentsOf(client, article)
    if (shown === undefined) return undefined
    if (shown !== article.comments) findings.push(`${article.slug} shows ${shown} comments and has ${article.comments}`)
  }
  return findings
}

async function commentsOf(client: Client, { slug }: SeenArticle): Promise<number | undefined> {
  for (let offset = 0; ; offset += COMMENTS_ON_A_PAGE) {
    const reply = await client.send({
      method: 'GET',
      path: `/articles/${slug}/comments?limit=${COMMENTS_ON_A_PAGE}&offset=${offset}`,
    })
    if (reply.status === 0) return undefined
    const { length } = (reply.body as { comments: unknown[] }).comments // as RealWorld has it
    if (length < COMMENTS_ON_A_PAGE) return offset + length
  }
}

function differences(what: string, held: readonly unknown[], shown: readonly unknown[]): string[] {
  const findings: string[] = []
  for (let at = 0; at < Math.max(held.length, shown.length); at++) {
    const [is, seems] = [JSON.stringify(held[at]), JSON.stringify(shown[at])]
    if (is !== seems) findings.push(`${what} + ${at} is ${is} and is shown as ${seems}`)
  }
  return findings.slice(0, 3)
}

const PAGE = 100
/** The most that there are. */
const COMMENTS_ON_A_PAGE = 100
/** Articles whose comments a full look asks for. */
const COMMENTED = 40

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'

// RealWorld's own test suite of its API: a Postman collection, unchanged, of which each request has a script that says
// what must hold of its answer. Those scripts use six names of Postman's; a script that used another would fail here.

export interface SuiteResult {
  readonly requests: number
  /** How many assertions its scripts made. */
  readonly assertions: number
  /**
   * What did not hold, each with its request. A request that was not answered with 2xx has failed, whatever its script
   * says.
   */
  readonly failures: readonly string[]
}

/** Runs the suite against an API, such as `http://localhost:4000/api`, as somebody whom it does not know yet. */
export async function runSuite(
  api: string,
  user: string,
  collection: Collection = readCollection(),
): Promise<SuiteResult> {
  const variables = new Map<string, string>([
    ['APIURL', api],
    ['USERNAME', user],
    ['EMAIL', `${user}@mail.com`],
    ['PASSWORD', 'password'],
  ])
  const failures: string[] = []
  let requests = 0
  let assertions = 0
  for (const { path, request, script } of callsOf(collection)) {
    const name = `${path} (${request.method} ${request.url.raw})`
    requests++
    const answer = await send(request, variables).catch(String)
    if (typeof answer === 'string') {
      failures.push(`${name}: ${answer}`)
      continue
    }
    if (answer.status < 200 || answer.status > 299)
      failures.push(`${name}: answered ${answer.status} ${answer.body.slice(0, BODY_SHOWN)}`)
    const { tests, error } = judge(script, answer, variables)
    if (error !== undefined) failures.push(`${name}: its script failed: ${error}`)
    for (const [what, holds] of Object.entries(tests)) {
      assertions++
      if (!holds) failures.push(`${name}: ${what}`)
    }
  }
  return { requests, assertions, failures }
}

export interface Collection {
  readonly item: readonly (Collection | Call)[]
  readonly name?: string
}

export interface Call {
  readonly name: string
  readonly request: Request
  readonly event?: readonly { readonly listen: string; readonly script: { readonly exec: readonly string[] } }[]
}

interface Request {
  readonly method: string
  readonly url: { readonly raw: string }
  readonly header: readonly { readonly key: string; readonly value: string }[]
  readonly body?: { readonly raw: string }
}

export function readCollection(): Collection {
  const file = fileURLToPath(new URL('../../realworld/Conduit.postman_collection.json', import.meta.url))
  return JSON.parse(readFileSync(file, 'utf8')) as Collection // it lies beside us, unchanged
}

function* callsOf({ item }: Collection, folder = ''): Generator<{ path: string; request: Request; script: string }> {
  for (const one of item) {
    if ('item' in one) yield* callsOf(one, `${folder}${one.name} / `)
    else
      yield {
        path: folder + one.name,
        request: one.request,
        script: (one.event ?? [])
          .filter(({ listen }) => listen === 'test')
          .flatMap(({ script }) => script.exec)
          .join('\n'),
      }
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function send({ method, url, header, body }: Request, variables: ReadonlyMap<string, string>): Promise<Answer> {
  const fill = (text: string): string =>
    text.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => variables.get(name) ?? whole)
  const response = await fetch(fill(url.raw), {
    method,
    headers: header.map(({ key, value }): [string, string] => [key, fill(value)]),
    ...(body?.raw ? { body: fill(body.raw) } : {}),
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  return { status: response.status, body: await response.text() }
}

/** Runs a request's script, which sets what holds of its answer, and variables for later requests. */
function judge(
  script: string,
  { status, body }: Answer,
  variables: Map<string, string>,
): { tests: Record<string, unknown>; error?: string } {
  const tests: Record<string, unknown> = {}
  const globals = {
    get: (name: string) => variables.get(name),
    set: (name: string, value: unknown) => void variables.set(name, String(value)),
  }
  try {
    runInNewContext(
      script,
      { tests, pm: { globals }, environment: {}, responseCode: { code: status }, responseBody: body },
      { timeout: SCRIPT_MS },
    )
    return { tests }
  } catch (error) {
    return { tests, error: String(error) }
  }
}

const ANSWER_MS = 30_000
const SCRIPT_MS = 5_000
/** Of an answer that is shown, characters. */
const BODY_SHOWN = 300

import { AtollError } from '@atoll/host'
import type { BoundOperation, ErrorShape, System } from 'atoll'
import { coercedNumbers } from 'atoll/runtime'
import createRouter from 'find-my-way'
import { queryOf } from './target.ts'

/** An operation at a route. */
export interface Target {
  readonly operation: BoundOperation
  readonly errors: ErrorShape | undefined
  /** The fields of its input whose texts become numbers. */
  readonly numbers: readonly string[]
}

/** What a request was found to be for. */
export interface Match {
  readonly target: Target
  readonly params: Readonly<Record<string, string | undefined>>
  readonly query: Readonly<Record<string, unknown>>
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
const methods: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** The routes of a system's contracts. */
export class Routes {
  readonly #router = createRouter({ onBadUrl: badUrl, maxParamLength: PARAM_CHARS_MAX })

  constructor(system: System, basePath: string) {
    for (const service of system.services) {
      for (const operation of service.contract.operations) {
        if (!operation.http) continue
        const [method, path] = operation.http.split(' ') as [Method, string] // the Route type says so
        this.#router.on(method, basePath + path, unused, {
          operation,
          errors: service.contract.errors,
          numbers: coercedNumbers(operation.input),
        } satisfies Target)
      }
    }
  }

  /** Undefined if nothing is there. MALFORMED for a path or a query string that cannot be decoded. */
  find(method: string, url: string): Match | undefined {
    const found = this.#find((method === 'HEAD' ? 'GET' : method) as Method, url)
    if (!found) return undefined
    if (!found.store) throw new AtollError('MALFORMED', 'the path cannot be decoded; check its percent signs')
    assertDecodable(queryOf(url))
    return { target: found.store as Target, params: found.params, query: found.searchParams }
  }

  /** The methods that a path has. */
  allowed(url: string): string[] {
    const allowed: string[] = methods.filter((method) => this.#find(method, url)?.store)
    if (allowed.includes('GET')) allowed.push('HEAD')
    return allowed
  }

  /** `/orders/` is not the order whose id is nothing. */
  #find(method: Method, url: string): ReturnType<ReturnType<typeof createRouter>['find']> {
    const found = this.#router.find(method, url)
    return found && Object.values(found.params).includes('') ? null : found
  }
}

/**
 * The router leaves a value that it cannot decode as it is, so that it would be the same as another one, which was
 * encoded twice.
 */
function assertDecodable(query: string): void {
  if (!query.includes('%')) return
  try {
    decodeURIComponent(query)
  } catch (error) {
    throw new AtollError('MALFORMED', 'the query string cannot be decoded; check its percent signs', { cause: error })
  }
}

/** The router only finds; nothing is called through it. */
function unused(): void {}
function badUrl(): void {}

const PARAM_CHARS_MAX = 500

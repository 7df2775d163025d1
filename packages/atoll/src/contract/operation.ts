import { AtollError } from '@atoll/host'
import type { z } from 'zod'
import type { Trust } from './judgement.ts'

/** Who may call: anybody; anybody, but the handler learns who if it is known; only a known caller. */
export type Auth = 'none' | 'optional' | 'user'

/**
 * `causal`: waits until the service has caught up with everything the caller has seen answered. `eventual`: answers
 * from what is there.
 */
export type Consistency = 'causal' | 'eventual'

/** Method and path of an operation at the gateway; `:name` in the path becomes a field of the input. */
export type Route = `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`

export interface OperationOptions<Input extends z.ZodType, Output extends z.ZodType, A extends Auth> {
  /** Where the gateway offers it. Without it, only other services can call it. */
  http?: Route
  /** Who may call it. What is offered at the gateway must say so; what is not, is for other services: `none`. */
  auth?: A
  /**
   * What comes in: path parameters, query string and JSON body as one object (path over body over query string).
   * Unknown fields are dropped. It is sent as JSON, so a type that JSON cannot carry is refused by {@link contract};
   * what `.transform()` makes of it may be anything.
   */
  input: Input
  /**
   * What goes out, as JSON: a type that JSON cannot carry is refused by {@link contract}, and so is, by ANSWER_INVALID,
   * what only an answer shows. An answer that does not fit never leaves; a command's transaction is then undone.
   */
  output: Output
  /** Default `causal`. */
  consistency?: Consistency
  /**
   * HTTP status of success. Default 200, or 204 when the output is undefined. 204 and 205 say that there is nothing to
   * read: only for outputs that are `z.void()`.
   */
  status?: number
  /**
   * The version of the answer, sent as ETag: a number, or a text of at most 200 characters. Clients hand it back in
   * If-Match. If it throws, or is longer, that is ANSWER_INVALID, and nothing commits.
   */
  etag?: (output: z.output<Output>) => string | number
}

export interface CommandOptions<
  Input extends z.ZodType,
  Output extends z.ZodType,
  A extends Auth,
> extends OperationOptions<Input, Output, A> {
  /** As of any operation, but for GET. */
  http?: Exclude<Route, `GET ${string}`>
  /**
   * What the client gets to see: the answer of a query, asked after the commit and at its position, in place of the
   * command's own output. If the query's service cannot answer in time, the client gets 202 and the output: the command
   * itself has succeeded.
   */
  show?: Show<z.output<Input>, z.output<Output>>
  /**
   * Whether the answer to an Idempotency-Key is kept, so that a repetition is answered with it, by default for a day.
   * Default true; must be said if the output has a {@link secret}, which would lie in the store for as long. With false
   * an Idempotency-Key has no effect, and a repetition runs again.
   */
  keepAnswers?: boolean
}

/** A query and how its input follows from a command's input and output; made with {@link show}. */
export interface Show<Input = unknown, Output = unknown> {
  /** A function, because contracts may show each other's queries. */
  readonly query: () => BoundOperation
  /** (A method, so that lists of operations need no `any`.) */
  input(output: Output, input: Input): unknown
}

/** An operation of a contract as {@link command} or {@link query} makes it; {@link contract} gives it its name. */
export interface Operation<
  Kind extends 'command' | 'query' = 'command' | 'query',
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
  A extends Auth = Auth,
> {
  readonly kind: Kind
  readonly http: Route | undefined
  readonly auth: A
  readonly input: Input
  readonly output: Output
  readonly consistency: Consistency
  readonly status: number | undefined
  /** (Methods, so that lists of operations need no `any`.) */
  etag?(output: z.output<Output>): string | number
  readonly show: Show | undefined
  /** As the options say; undefined if they do not. */
  readonly keepAnswers: boolean | undefined
}

/** An operation that knows its contract. */
export interface Bound {
  /** `contract.operation`, such as `orders.place`. Unique in a system. */
  readonly name: string
  readonly contract: string
  /**
   * Whether the input's schema makes each object and list anew. If not, its code or the handler may change what was
   * sent, and gets a copy.
   */
  readonly remakesInput: boolean
  /** How far what the output's schema gives is to be trusted to arrive as it is. */
  readonly outputTrust: Trust
  /** Whether an Idempotency-Key brings back the answer that was given first. */
  readonly keepsAnswers: boolean
}

export type BoundOperation = Operation & Bound

/** An operation that changes state. */
export function command<Input extends z.ZodType, Output extends z.ZodType, const A extends Auth = 'none'>(
  options: CommandOptions<Input, Output, A>,
): Operation<'command', Input, Output, A> {
  if (options.show) assertMayAnswer(options.status, options.http)
  return { ...operation('command', options), show: options.show, keepAnswers: options.keepAnswers }
}

/** An operation that only reads. */
export function query<Input extends z.ZodType, Output extends z.ZodType, const A extends Auth = 'none'>(
  options: OperationOptions<Input, Output, A>,
): Operation<'query', Input, Output, A> {
  return operation('query', options)
}

/** Lets a command answer with a query: `show(() => reading.article, ({ slug }) => ({ slug }))`. */
export function show<Input, Output, Query extends BoundOperation>(
  target: () => Query,
  input: (output: Output, input: Input) => z.input<Query['input']>,
): Show<Input, Output> {
  return { query: target, input }
}

function operation<Kind extends 'command' | 'query', Input extends z.ZodType, Output extends z.ZodType, A extends Auth>(
  kind: Kind,
  options: OperationOptions<Input, Output, A>,
): Operation<Kind, Input, Output, A> {
  const { status, http } = options
  if (http !== undefined) assertSaysWho(kind, http, options.auth)
  if (status !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 299)) {
    throw new AtollError(
      'DEFINITION_INVALID',
      `status ${status} of ${options.http ?? `a ${kind}`} does not say success: give 200 to 299, and throw for anything else`,
    )
  }
  if (!outputsOfNothing.has(options.output.type)) assertMayAnswer(status, options.http)
  return {
    kind,
    http: options.http,
    auth: (options.auth ?? 'none') as A, // 'none' is what A is when the option is absent
    input: options.input,
    output: options.output,
    consistency: options.consistency ?? 'causal',
    status,
    ...(options.etag ? { etag: options.etag } : {}),
    show: undefined,
    keepAnswers: undefined,
  }
}

/**
 * What anybody may call is decided, and does not happen. And whoever reads a page makes GET requests of it: browsers,
 * crawlers and caches repeat them, and links of strangers make them with a user's credentials.
 */
function assertSaysWho(kind: 'command' | 'query', http: Route, auth: Auth | undefined): void {
  if (auth === undefined)
    throw new AtollError(
      'DEFINITION_INVALID',
      `${http} does not say who may call it: give auth: 'none' for anybody, 'optional' for anybody whom the handler may know, or 'user' for a known caller`,
    )
  if (kind === 'command' && http.startsWith('GET '))
    throw new AtollError(
      'DEFINITION_INVALID',
      `${http} is a command, and GET must change nothing: give it another method, or make it a query`,
    )
}

/**
 * HTTP has answers with these statuses end with their headers: what is sent behind them would be taken for the next
 * answer.
 */
function assertMayAnswer(status: number | undefined, http: Route | undefined): void {
  if (status !== 204 && status !== 205) return
  throw new AtollError(
    'DEFINITION_INVALID',
    `status ${status} of ${http ?? 'an operation'} says that there is nothing to read, and it has an answer: give another status, or z.void() as its output, and no show`,
  )
}

const outputsOfNothing: ReadonlySet<string> = new Set(['void', 'undefined', 'never'])

import { AtollError, type Host, type Timer } from '@atoll/host'
import {
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node'
import { NobodyAnswers, Unanswered } from './errors.ts'
import type { NatsLogLimits } from './limits.ts'

/**
 * Takes the answers to one request, one by one; true says that this was the last. What it throws is what the request
 * rejects with.
 */
type Take = (answer: Msg) => boolean

interface Waiting {
  readonly subject: string
  take(answer: Msg): void
  reject(error: AtollError): void
}

/**
 * One connection, from when it stands to when it falls. It does not reconnect: whoever asked hears at once that it
 * fell, and nothing that was meant for it is sent later by another one. A server that does not answer pings has fallen,
 * too.
 */
export class Session {
  readonly connection: NatsConnection
  readonly #host: Host
  readonly #limits: NatsLogLimits
  readonly #inbox: string
  readonly #waiting = new Map<string, Waiting>()
  readonly #ended: ((reason: string) => void)[] = []
  #lastToken = 0
  #failure: AtollError | undefined
  #pingTimer: Timer | undefined

  constructor(connection: NatsConnection, host: Host, limits: NatsLogLimits) {
    this.connection = connection
    this.#host = host
    this.#limits = limits
    this.#inbox = createInbox()
    connection.subscribe(`${this.#inbox}.*`, { callback: (error, answer) => this.#take(error, answer) })
    void connection
      .closed()
      .then((error) => this.end(error ? `the connection broke (${error.message})` : 'the server closed the connection'))
    void this.#hearOfErrors()
    this.#ping()
  }

  /** Calls back when it has fallen, once. */
  onEnd(listener: (reason: string) => void): void {
    this.#ended.push(listener)
  }

  get isUp(): boolean {
    return this.#failure === undefined
  }

  /** The most bytes that one message may have, headers included. */
  get payloadBytesMax(): number {
    return this.connection.info?.max_payload ?? 1024 * 1024
  }

  /** Whether one question can be answered by many messages. */
  get hasBatchedGets(): boolean {
    return isVersionAtLeast(this.connection.info?.version ?? '', 2, 11)
  }

  /** Ends it from this side; everybody who waits is told why, with `failure`. */
  end(
    reason: string,
    failure = new AtollError('UNAVAILABLE', `the connection to NATS fell: ${reason}; making another`),
  ): void {
    if (this.#failure) return
    this.#failure = failure
    this.#pingTimer?.cancel()
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    void this.connection.close().catch(() => undefined) // it is given up, whatever it says
    for (const listener of this.#ended) listener(reason)
  }

  /** Sends without asking for an answer. Throws UNAVAILABLE if it has fallen. */
  publish(subject: string, payload: string | Uint8Array, headers?: MsgHdrs): void {
    this.#send(subject, payload, headers, undefined)
  }

  /**
   * One request, one answer. Rejects with {@link Unanswered} after `boundMs` (`callMs`), or with UNAVAILABLE as soon as
   * the session falls.
   */
  async request(subject: string, payload: string | Uint8Array, headers?: MsgHdrs, boundMs?: number): Promise<Msg> {
    let only: Msg | undefined
    const take = (answer: Msg): boolean => {
      only = answer
      return true
    }
    await this.exchange(subject, payload, headers, take, boundMs)
    return only! // exchange resolves only after it was taken
  }

  /** One request, and answers until `take` has enough, within `boundMs` in all. */
  exchange(
    subject: string,
    payload: string | Uint8Array,
    headers: MsgHdrs | undefined,
    take: Take,
    boundMs = this.#limits.callMs,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const token = String(++this.#lastToken)
      const settle = (): void => {
        this.#waiting.delete(token)
        timer.cancel()
      }
      const fail = (error: unknown): void => {
        settle()
        reject(error)
      }
      const timer = this.#afterAll(boundMs, () => {
        if (this.#waiting.has(token)) fail(new Unanswered(subject, this.#limits.callMs))
      })
      this.#waiting.set(token, {
        subject,
        reject: fail,
        take(answer) {
          try {
            if (isNobody(answer)) throw new NobodyAnswers(subject)
            if (!take(answer)) return
            settle()
            resolve()
          } catch (error) {
            fail(error)
          }
        },
      })
      try {
        this.#send(subject, payload, headers, `${this.#inbox}.${token}`)
      } catch (error) {
        fail(error)
      }
    })
  }

  subscribe(subject: string, listener: (message: Msg) => void): Subscription {
    return this.connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) listener(message)
      },
    })
  }

  #send(subject: string, payload: string | Uint8Array, headers: MsgHdrs | undefined, reply: string | undefined): void {
    if (this.#failure) throw this.#failure
    try {
      this.connection.publish(subject, payload, { ...(headers && { headers }), ...(reply && { reply }) })
    } catch (error) {
      if (error instanceof errors.InvalidArgumentError) throw error
      this.end('the connection is closed')
      throw this.#failure
    }
  }

  #take(error: Error | null, answer: Msg): void {
    if (error) return this.end(`answers are not let through (${error.message})`)
    this.#waiting.get(answer.subject.slice(this.#inbox.length + 1))?.take(answer)
  }

  /** A server tells by the way, and not in an answer, that something is not permitted. */
  async #hearOfErrors(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type !== 'error' || !(status.error instanceof errors.PermissionViolationError)) continue
      const { operation, subject } = status.error
      for (const waiting of [...this.#waiting.values()]) {
        if (waiting.subject === subject)
          waiting.reject(
            new AtollError('UNAVAILABLE', `NATS does not permit this user the ${operation} of '${subject}'; grant it`, {
              cause: status.error,
            }),
          )
      }
    }
  }

  /** Half-open connections look healthy for minutes; so the server has to say that it is there. */
  #ping(): void {
    let isBack = false
    this.connection.flush().then(
      () => (isBack = true),
      () => undefined, // it has ended, which is heard of elsewhere
    )
    this.#pingTimer = this.#afterAll(this.#limits.pingMs, () => {
      if (isBack) this.#ping()
      else this.end(`the server did not answer a ping within pingMs (${this.#limits.pingMs} ms)`)
    })
  }

  /**
   * Like {@link Host.after}, and what has come in by then is looked at first: a process that stood still must not blame
   * the server.
   */
  #afterAll(delayMs: number, callback: () => void): Timer {
    return this.#host.after(delayMs, () => this.#host.turn(() => this.#host.turn(callback)))
  }
}

/** Whether a version such as `2.14.6` or `2.15.0-RC.1` is that one or later. */
export function isVersionAtLeast(version: string, major: number, minor: number): boolean {
  const [isMajor = 0, isMinor = 0] = version.split('.').map(Number)
  return isMajor > major || (isMajor === major && isMinor >= minor)
}

function isNobody(answer: Msg): boolean {
  return answer.data.length === 0 && answer.headers?.code === 503
}
